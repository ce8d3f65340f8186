//! Shapes of load: a plan is a list of phases, each moving the number of users from one value to another.
//! Called by `load::run`, which asks the plan how many users there should be now. Pure: no clock, no users here.

use std::time::Duration;

use crate::cli::Shape;
use crate::env::InvalidSetting;

/// Period of a spike that repeats: 12 s base, 8 s spike, 20 s recovery.
const SPIKE_PERIOD: Duration = Duration::from_secs(40);
/// Length of the other shapes where nothing bounds them; they repeat after it.
const RAMP_PERIOD: Duration = Duration::from_secs(75);
const STEADY_PERIOD: Duration = Duration::from_secs(60);
const SOAK_PERIOD: Duration = Duration::from_secs(3600);
/// The peak has this many times the users of the base.
const SPIKE_FACTOR: usize = 10;
/// Users come and go over this time at the edges of a spike, or a tenth of the phase where that is shorter.
const EDGE: Duration = Duration::from_secs(1);

/// A stretch of time in which the number of users moves linearly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// Value of the attribute `load.phase.name`.
    pub name: String,
    /// Users when it starts.
    pub from: usize,
    /// Users once `edge` has passed.
    pub to: usize,
    /// Time over which users move from `from` to `to`.
    pub edge: Duration,
    /// How long it lasts, edge included.
    pub duration: Duration,
}

/// Where a plan stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position<'a> {
    /// Number of the phase since the start; grows over repetitions.
    pub ordinal: u64,
    /// The phase.
    pub phase: &'a Phase,
    /// Users there should be.
    pub users: usize,
}

/// The phases of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    phases: Vec<Phase>,
    repeats: bool,
}

impl Plan {
    /// The plan of a shape with `users` at its peak. `total` bounds it; without one it repeats for ever.
    ///
    /// # Errors
    /// When `users` or `total` is zero.
    pub fn of(shape: Shape, users: usize, total: Option<Duration>) -> Result<Self, InvalidSetting> {
        if users == 0 {
            return Err(InvalidSetting::new("--users", users, "1 or more"));
        }
        if total.is_some_and(|total| total.is_zero()) {
            return Err(InvalidSetting::new("--for", "0s", "a duration above zero"));
        }
        let phases = match shape {
            Shape::Spike => spike(users, total.unwrap_or(SPIKE_PERIOD)),
            Shape::Ramp => ramp(users, total.unwrap_or(RAMP_PERIOD)),
            Shape::Steady => vec![constant("steady", users, total.unwrap_or(STEADY_PERIOD))],
            Shape::Soak => vec![constant("soak", users, total.unwrap_or(SOAK_PERIOD))],
        };
        Ok(Self { phases, repeats: total.is_none() })
    }

    /// A plan in goose's syntax, `users,duration;users,duration;...`: users move linearly to each number.
    /// The plan ends after its last step; `total` cuts it short.
    ///
    /// # Errors
    /// When a step is not `users,duration`, or no step has users or time.
    pub fn parse(text: &str, total: Option<Duration>) -> Result<Self, InvalidSetting> {
        let wrong = || {
            InvalidSetting::new(
                "--test-plan",
                text,
                "`users,duration` steps joined by `;`, such as \"5,10s;40,1m;0,5s\"",
            )
        };
        let mut phases: Vec<Phase> = Vec::new();
        for (index, step) in text.split(';').enumerate() {
            let (users, time) = step.split_once(',').ok_or_else(wrong)?;
            let to: usize = users.trim().parse().map_err(|_| wrong())?;
            let duration = timespan(time.trim()).ok_or_else(wrong)?;
            let from = phases.last().map_or(0, |phase| phase.to);
            phases.push(Phase { name: format!("step {}", index + 1), from, to, edge: duration, duration });
        }
        let mut plan = Self { phases, repeats: false };
        if let Some(total) = total {
            plan.cut(total);
        }
        if plan.peak() == 0 || plan.total().is_none_or(|total| total.is_zero()) {
            return Err(wrong());
        }
        Ok(plan)
    }

    /// Most users at any time.
    pub fn peak(&self) -> usize {
        self.phases.iter().map(|phase| phase.from.max(phase.to)).max().unwrap_or(0)
    }

    /// How long it lasts; `None` when it repeats until stopped.
    pub fn total(&self) -> Option<Duration> {
        (!self.repeats).then(|| self.period())
    }

    /// The phases of one period.
    pub fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// Where the plan stands `elapsed` after its start; `None` once it is over.
    pub fn at(&self, elapsed: Duration) -> Option<Position<'_>> {
        let period = self.period();
        let (round, mut left) = if self.repeats {
            let round = elapsed.as_nanos() / period.as_nanos().max(1);
            let start = period.saturating_mul(u32::try_from(round).unwrap_or(u32::MAX));
            (u64::try_from(round).unwrap_or(u64::MAX), elapsed.saturating_sub(start))
        } else {
            (0, elapsed)
        };
        for (index, phase) in self.phases.iter().enumerate() {
            if left < phase.duration {
                let ordinal = round * self.phases.len() as u64 + index as u64;
                return Some(Position { ordinal, phase, users: phase.users(left) });
            }
            left -= phase.duration;
        }
        None
    }

    fn period(&self) -> Duration {
        self.phases.iter().map(|phase| phase.duration).sum()
    }

    fn cut(&mut self, total: Duration) {
        let mut left = total;
        for phase in &mut self.phases {
            let kept = phase.duration.min(left);
            phase.duration = kept;
            left -= kept;
        }
        self.phases.retain(|phase| !phase.duration.is_zero());
    }
}

impl Phase {
    fn users(&self, elapsed: Duration) -> usize {
        if elapsed >= self.edge {
            return self.to;
        }
        let share = elapsed.as_secs_f64() / self.edge.as_secs_f64();
        let moved = (self.to as f64 - self.from as f64) * share;
        // Rounded away from `from`, so that a ramp from nothing has its first user at once.
        let moved = if moved < 0.0 { moved.floor() } else { moved.ceil() };
        ((self.from as f64 + moved).max(0.0) as usize).max(usize::from(self.from.max(self.to) > 0 && self.from == 0))
    }
}

fn constant(name: &str, users: usize, duration: Duration) -> Phase {
    Phase { name: name.to_owned(), from: users, to: users, edge: Duration::ZERO, duration }
}

fn moving(name: &str, from: usize, to: usize, duration: Duration) -> Phase {
    Phase { name: name.to_owned(), from, to, edge: EDGE.min(duration / 10), duration }
}

/// Three tenths base and spike each, then recovery to the base; when repeating, as [`SPIKE_PERIOD`] says.
fn spike(users: usize, total: Duration) -> Vec<Phase> {
    let base = (users / SPIKE_FACTOR).max(1);
    let (first, peak) = if total == SPIKE_PERIOD {
        (Duration::from_secs(12), Duration::from_secs(8))
    } else {
        (total * 3 / 10, total * 3 / 10)
    };
    vec![
        constant("base", base, first),
        moving("spike", base, users, peak),
        moving("recovery", users, base, total - first - peak),
    ]
}

/// Four fifths of growth, then a hold at the peak.
fn ramp(users: usize, total: Duration) -> Vec<Phase> {
    let growth = total * 4 / 5;
    vec![
        Phase { name: "ramp".to_owned(), from: 1, to: users, edge: growth, duration: growth },
        constant("peak", users, total - growth),
    ]
}

/// goose's time spans: bare seconds, or hours, minutes and seconds such as `1h30m`; empty is zero.
fn timespan(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return Some(Duration::ZERO);
    }
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(&text.to_ascii_lowercase()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn users_at(plan: &Plan, seconds: f64) -> usize {
        plan.at(Duration::from_secs_f64(seconds)).unwrap().users
    }

    #[test]
    fn a_spike_of_30_s_shows_base_then_ten_times_the_users_then_base_again() {
        let plan = Plan::of(Shape::Spike, 40, Some(30 * S)).unwrap();
        let names: Vec<_> = plan.phases().iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(names, ["base", "spike", "recovery"]);
        assert_eq!((users_at(&plan, 1.0), users_at(&plan, 12.0), users_at(&plan, 25.0)), (4, 40, 4));
        assert_eq!(plan.total(), Some(30 * S));
        assert_eq!(plan.at(30 * S), None);
    }

    #[test]
    fn a_spike_without_an_end_repeats_every_40_s() {
        let plan = Plan::of(Shape::Spike, 40, None).unwrap();
        assert_eq!(plan.total(), None);
        assert_eq!((users_at(&plan, 15.0), users_at(&plan, 55.0), users_at(&plan, 4015.0)), (40, 40, 40));
        assert_eq!((users_at(&plan, 5.0), users_at(&plan, 45.0)), (4, 4));
        assert_eq!(plan.at(41 * S).unwrap().ordinal, 3);
    }

    #[test]
    fn a_spike_of_few_users_still_has_three_times_the_base() {
        for users in [3, 5, 9, 10, 40, 1000] {
            let plan = Plan::of(Shape::Spike, users, Some(30 * S)).unwrap();
            assert!(plan.peak() >= 3 * users_at(&plan, 0.0), "{users} users");
        }
    }

    #[test]
    fn a_ramp_grows_from_one_user_and_never_falls() {
        let plan = Plan::of(Shape::Ramp, 20, Some(10 * S)).unwrap();
        let counts: Vec<_> = (0..100).map(|tenth| users_at(&plan, f64::from(tenth) / 10.0)).collect();
        assert_eq!(counts[0], 1);
        assert!(counts.is_sorted());
        assert_eq!(counts[99], 20);
    }

    #[test]
    fn steady_and_soak_keep_their_users() {
        for shape in [Shape::Steady, Shape::Soak] {
            let plan = Plan::of(shape, 7, Some(9 * S)).unwrap();
            assert_eq!((users_at(&plan, 0.0), users_at(&plan, 8.9)), (7, 7));
        }
    }

    #[test]
    fn a_test_plan_moves_linearly_between_its_steps_and_for_cuts_it() {
        let plan = Plan::parse("10,10s; 10,1m;0,5", None).unwrap();
        assert_eq!(plan.total(), Some(75 * S));
        assert_eq!((users_at(&plan, 0.0), users_at(&plan, 5.0), users_at(&plan, 30.0)), (1, 5, 10));
        assert_eq!(Plan::parse("10,10s;10,1m", Some(20 * S)).unwrap().total(), Some(20 * S));
    }

    #[test]
    fn wrong_plans_are_refused_naming_the_flag() {
        for text in ["", "x", "5", "5,10parsecs", "0,10s", "5,0s", "-1,3s", "5,1s;"] {
            assert_eq!(Plan::parse(text, None).unwrap_err().variable, "--test-plan", "{text:?}");
        }
        assert_eq!(Plan::of(Shape::Spike, 0, None).unwrap_err().variable, "--users");
        assert_eq!(Plan::of(Shape::Spike, 1, Some(Duration::ZERO)).unwrap_err().variable, "--for");
    }
}
