//! What the store of profiles promises: bounds, merging, and an answer to whatever bytes come.
