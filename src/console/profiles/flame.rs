//! Many profiles as one tree: the stacks that a filter chooses, merged by their functions' names; as JSON, and drawn by the
//! library inferno. Called by `profiles::api`. Pure: no store, no lock, no clock.

use std::collections::HashMap;
use std::sync::Arc;

use inferno::flamegraph::color::{BackgroundColor, Color, MultiPalette, Palette};
use inferno::flamegraph::{Direction, Options, from_lines};
use serde_json::{Value as Json, json};

use super::{Measure, Profile, Row};
use crate::console::model::SpanId;

/// Which stacks to merge; what is `None` is not asked for.
#[derive(Debug, Default, Clone)]
pub(crate) struct Filter {
    /// `service.name`.
    pub(crate) service: Option<String>,
    /// Id of a [`Measure`]; else the newest profile's last.
    pub(crate) measure: Option<String>,
    /// Name of the span.
    pub(crate) span_name: Option<String>,
    /// Route of the span.
    pub(crate) route: Option<String>,
    /// Id of the span.
    pub(crate) span: Option<SpanId>,
    /// Profiles that end later, unix nanoseconds.
    pub(crate) from: Option<u64>,
    /// Profiles that begin earlier, unix nanoseconds.
    pub(crate) until: Option<u64>,
}

/// A function in its place.
#[derive(Debug, Default)]
struct Node<'a> {
    name: &'a str,
    /// Its own value.
    own: i64,
    /// With all below.
    total: i64,
    children: Vec<usize>,
}

/// The merged stacks.
#[derive(Debug, Default)]
pub(crate) struct Flame<'a> {
    /// The measure that was merged, when anything was found.
    pub(crate) measure: Option<&'a Measure>,
    /// Profiles with at least one stack that was merged.
    pub(crate) profiles: usize,
    /// Samples merged.
    pub(crate) samples: i64,
    /// Frames of the deepest stack.
    pub(crate) depth: usize,
    /// The root is the first.
    nodes: Vec<Node<'a>>,
}

/// Samples that make a value up: told by the period, else one.
pub(crate) fn samples(measure: &Measure, value: i64) -> i64 {
    value.checked_div(measure.period).unwrap_or(i64::from(value > 0))
}

impl Filter {
    fn covers(&self, profile: &Profile) -> bool {
        self.service.as_deref().is_none_or(|service| service == &*profile.service)
            && self.from.is_none_or(|from| profile.until >= from)
            && self.until.is_none_or(|until| profile.from <= until)
    }

    fn chooses(&self, profile: &Profile, row: &Row) -> bool {
        let named = |wanted: &Option<String>, number: Option<u32>| {
            wanted.as_deref().is_none_or(|wanted| number.is_some_and(|number| profile.name(number) == wanted))
        };
        self.span.is_none_or(|span| row.span == Some(span))
            && named(&self.span_name, row.span_name)
            && named(&self.route, row.route)
    }
}

/// Merges the stacks that the filter chooses.
pub(crate) fn merge<'a>(profiles: &'a [Arc<Profile>], filter: &Filter) -> Flame<'a> {
    let mut flame = Flame { nodes: vec![Node { name: "total", ..Node::default() }], ..Flame::default() };
    let mut places: HashMap<(usize, &str), usize> = HashMap::new();
    // The newest first: it says which measure is merged, where none is asked for.
    for profile in profiles.iter().rev().filter(|profile| filter.covers(profile)) {
        let wanted = filter.measure.as_deref().or(flame.measure.map(|measure| &*measure.id));
        let found = profile.measures.iter().rposition(|measure| wanted.is_none_or(|wanted| wanted == &*measure.id));
        let Some(index) = found else { continue };
        let measure = &profile.measures[index];
        let mut chosen = false;
        for (row, frames, value) in profile.stacks(index) {
            if value == 0 || !filter.chooses(profile, row) {
                continue;
            }
            chosen = true;
            flame.samples = flame.samples.saturating_add(samples(measure, value));
            flame.depth = flame.depth.max(frames.len());
            let mut at = 0;
            flame.nodes[0].total = flame.nodes[0].total.saturating_add(value);
            for number in frames {
                let name = profile.name(*number);
                at = *places.entry((at, name)).or_insert_with(|| {
                    let next = flame.nodes.len();
                    flame.nodes.push(Node { name, ..Node::default() });
                    flame.nodes[at].children.push(next);
                    next
                });
                flame.nodes[at].total = flame.nodes[at].total.saturating_add(value);
            }
            flame.nodes[at].own = flame.nodes[at].own.saturating_add(value);
        }
        if chosen {
            flame.profiles += 1;
            flame.measure = Some(measure);
        }
    }
    flame
}

impl Flame<'_> {
    /// The sum of all values.
    pub(crate) fn total(&self) -> i64 {
        self.nodes.first().map_or(0, |root| root.total)
    }

    /// The tree with at most `most` functions: the smallest of a parent become one child `other`. A list, each node after
    /// its parent: nested as deep as stacks are, JSON would be beyond what readers take.
    pub(crate) fn json(&self, most: usize) -> Json {
        let mut totals: Vec<i64> = self.nodes.iter().map(|node| node.total).collect();
        totals.sort_unstable_by(|a, b| b.cmp(a));
        let least = totals.get(most.max(1)).map_or(0, |next| next.saturating_add(1));
        let mut list: Vec<Json> = Vec::new();
        let mut open = vec![(0, None)];
        while let Some((at, parent)) = open.pop() {
            let (node, place) = (&self.nodes[at], list.len());
            list.push(json!({ "name": node.name, "total": node.total, "self": node.own, "parent": parent }));
            let mut children: Vec<usize> = node.children.clone();
            children.sort_by_key(|child| std::cmp::Reverse(self.nodes[*child].total));
            let shown = children.partition_point(|child| self.nodes[*child].total >= least);
            let rest: i64 = children[shown..].iter().map(|child| self.nodes[*child].total).sum();
            if rest > 0 {
                list.push(json!({ "name": "other", "total": rest, "self": rest, "parent": place }));
            }
            // The largest is popped first.
            open.extend(children[..shown].iter().rev().map(|child| (*child, Some(place))));
        }
        json!({
            "type": self.measure.map(|measure| &measure.id), "unit": self.measure.map(|measure| &measure.unit),
            "profiles": self.profiles, "samples": self.samples, "total": self.total(), "depth": self.depth,
            "nodes": list,
        })
    }

    /// Folded stacks, as flame graph tools read them.
    fn folded(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut open = vec![(0, String::new())];
        while let Some((at, path)) = open.pop() {
            let node = &self.nodes[at];
            if node.own > 0 && at > 0 {
                lines.push(format!("{path} {}", node.own));
            }
            for child in &node.children {
                let name = foldable(self.nodes[*child].name);
                open.push((*child, if path.is_empty() { name } else { format!("{path};{name}") }));
            }
        }
        lines
    }

    /// The drawing; `None` when there is nothing to draw.
    pub(crate) fn svg(&self, title: &str, dark: bool) -> Option<Vec<u8>> {
        let lines = self.folded();
        let measure = self.measure?;
        let grey = |r, g, b| Color { r, g, b };
        let mut options = Options::default();
        options.title = title.to_owned();
        options.colors = Palette::Multi(MultiPalette::Rust);
        options.deterministic = true;
        // The root on top: the drawing scrolls in its frame.
        options.direction = Direction::Inverted;
        options.min_width = 0.1;
        let (ground, ink) =
            if dark { (grey(20, 27, 36), grey(228, 235, 243)) } else { (grey(255, 255, 255), grey(23, 33, 44)) };
        (options.bgcolors, options.uicolor) = (Some(BackgroundColor::Flat(ground)), ink);
        options.count_name = measure.unit.to_string();
        if &*measure.unit == "nanoseconds" {
            (options.count_name, options.factor) = ("ms".to_owned(), 1e-6);
        }
        let mut drawing = Vec::new();
        from_lines(&mut options, lines.iter().map(String::as_str), &mut drawing).ok()?;
        Some(drawing)
    }
}

/// Longest name that is drawn in full.
const DRAWN: usize = 100;

/// A long name without what stands in its inner angle brackets: futures are named by all that they hold.
fn short(name: &str) -> String {
    if name.len() <= DRAWN {
        return name.to_owned();
    }
    let (mut text, mut level, mut last) = (String::with_capacity(DRAWN), 0_usize, ' ');
    // `<T as Trait>::function` begins with brackets: the first pair is the name's own.
    let kept = usize::from(name.starts_with('<'));
    for c in name.chars() {
        if c == '<' {
            if level == kept {
                text.push_str("<…>");
            }
            level += 1;
        }
        if level <= kept {
            text.push(c);
        }
        // An arrow closes nothing.
        if c == '>' && last != '-' {
            level = level.saturating_sub(1);
        }
        last = c;
    }
    text.chars().take(2 * DRAWN).collect()
}

/// A name that cannot be taken for a separator, a comment or a number of samples.
fn foldable(name: &str) -> String {
    let mut text: String = short(name).chars().map(|c| if c == ';' || c.is_control() { ':' } else { c }).collect();
    let last = text.rsplit(' ').next().unwrap_or_default();
    if text.starts_with('#') || last.chars().all(|c| c.is_ascii_digit() || c == '.') {
        text = format!("‹{}›", text.trim());
    }
    text
}
