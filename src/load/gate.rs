//! Which of goose's users run now. goose starts as many users as the peak needs and keeps them; the plan opens and
//! closes the gate in front of each. (goose's own test plan is finite, ticks every 500 ms and makes a new user for each
//! rise: it can neither repeat until stopped nor tell when a phase began.) No plan and no request may live here.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The gate in front of the users.
#[derive(Debug)]
pub(super) struct Gate {
    target: watch::Sender<usize>,
    running: Vec<AtomicBool>,
    active: AtomicUsize,
    stop: CancellationToken,
}

impl Gate {
    /// A closed gate for `users` users.
    pub(super) fn new(users: usize, stop: CancellationToken) -> Self {
        let running = (0..users).map(|_| AtomicBool::new(false)).collect();
        Self { target: watch::Sender::new(0), running, active: AtomicUsize::new(0), stop }
    }

    /// Lets the first `users` users through.
    pub(super) fn open_for(&self, users: usize) {
        self.target.send_if_modified(|target| std::mem::replace(target, users) != users);
    }

    /// Users that are through now.
    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Waits until the user may run; `false` when the run is over.
    pub(super) async fn pass(&self, user: usize) -> bool {
        if !self.stop.is_cancelled() && user < *self.target.borrow() {
            self.mark(user, true);
            return true;
        }
        self.mark(user, false);
        let mut target = self.target.subscribe();
        tokio::select! {
            // Stopping wins over an open gate.
            biased;
            () = self.stop.cancelled() => false,
            open = target.wait_for(|target| user < *target) => {
                let open = open.is_ok();
                self.mark(user, open);
                open
            }
        }
    }

    fn mark(&self, user: usize, runs: bool) {
        let Some(running) = self.running.get(user) else { return };
        match (running.swap(runs, Ordering::Relaxed), runs) {
            (false, true) => drop(self.active.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(self.active.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_gate_counts_who_is_through_and_lets_no_one_through_once_stopped() {
        let stop = CancellationToken::new();
        let gate = Gate::new(3, stop.clone());
        gate.open_for(2);
        assert!(gate.pass(0).await && gate.pass(1).await && gate.pass(1).await);
        assert_eq!(gate.active(), 2);
        let waiting = gate.pass(2);
        stop.cancel();
        assert!(!waiting.await && !gate.pass(0).await);
        assert_eq!(gate.active(), 1);
    }
}
