//! The search for one end of a profile-likelihood interval: secants on the profile t, which is nearly straight, kept inside
//! a bracket. Whose profile it is, and how a value is held, is the caller's matter.

/// A step outwards grows at most by this.
const GROWTH: f64 = 3.0;
/// Secants stay this share of the bracket away from its ends.
const INSIDE: f64 = 0.05;
/// A bracket this narrow, relative to the first step, holds a jump of the profile: the end is there.
const NARROW: f64 = 1e-4;

/// One end, being sought.
#[derive(Debug, Clone)]
pub struct Search {
    /// The first step, in the parameter's units.
    unit: f64,
    /// The quantile that the profile t is to reach, and how near, relatively.
    target: f64,
    near: f64,
    /// The farthest known value at which the profile t is too low, and that t.
    inside: (f64, f64),
    /// The nearest known value at which it is too high.
    outside: Option<(f64, f64)>,
    /// Where the box ends.
    limit: f64,
    /// To be tried next.
    next: f64,
    /// Whether the last two trials fell on the same side, and which.
    last_outside: Option<bool>,
}

/// What a trial came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// [`Search::next`] is to be tried.
    Next,
    /// The end is here.
    Found(f64),
    /// The box ends before the profile has risen enough.
    Open,
}

impl Search {
    /// From the estimate towards `limit`, the end of the box there, until the profile t is `target`, within the share
    /// `near` of it; the first step is `unit`. `None` where there is no room.
    pub fn new(estimate: f64, unit: f64, limit: f64, target: f64, near: f64) -> Option<Self> {
        let room = (limit - estimate).abs();
        let has_room = room > 1e-9 * (1.0 + limit.abs()) && unit > 0.0;
        let next = if unit < room { estimate + unit.copysign(limit - estimate) } else { limit };
        has_room.then_some(Self {
            unit,
            target,
            near,
            inside: (estimate, 0.0),
            outside: None,
            limit,
            next,
            last_outside: None,
        })
    }

    /// The value to be tried next.
    pub fn next(&self) -> f64 {
        self.next
    }

    /// Whether a value with this profile t is inside the interval.
    pub fn is_inside(&self, t: f64) -> bool {
        t <= self.target
    }

    /// Takes in the profile t at the value tried.
    pub fn learn(&mut self, t: f64) -> Step {
        let x = self.next;
        if (t - self.target).abs() <= self.near * self.target {
            return Step::Found(x);
        }
        if t > self.target {
            // Twice on one side: the far end counts half, or the secant would creep (the Illinois rule).
            if self.last_outside == Some(true) {
                self.inside.1 = self.target - 0.5 * (self.target - self.inside.1);
            }
            self.outside = Some((x, t));
            self.last_outside = Some(true);
        } else {
            if (x - self.limit).abs() <= 1e-12 * (1.0 + self.limit.abs()) {
                return Step::Open;
            }
            if let (Some(outside), Some(false)) = (&mut self.outside, self.last_outside) {
                outside.1 = self.target + 0.5 * (outside.1 - self.target);
            }
            let rise = (t - self.inside.1) / (x - self.inside.0).abs();
            let advanced = (x - self.inside.0).abs();
            self.inside = (x, t);
            self.last_outside = Some(false);
            if self.outside.is_none() {
                // Outwards: to where the secant promises the end, a little further, but not too far.
                let promised = if rise > 0.0 { 1.1 * (self.target - t) / rise } else { f64::INFINITY };
                let distance = promised.clamp(0.2 * advanced, GROWTH * advanced).min((self.limit - x).abs());
                self.next = x + distance.copysign(self.limit - x);
                return Step::Next;
            }
        }
        let Some((outer, t_outer)) = self.outside else { return Step::Open };
        let (inner, t_inner) = self.inside;
        let width = outer - inner;
        if width.abs() <= NARROW * self.unit {
            return Step::Found(outer);
        }
        let share = ((self.target - t_inner) / (t_outer - t_inner)).clamp(INSIDE, 1.0 - INSIDE);
        self.next = inner + share * width;
        Step::Next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trials until the end is found, and where.
    fn sought(unit: f64, limit: f64, t: impl Fn(f64) -> f64) -> (usize, Step) {
        let mut search = Search::new(1.0, unit, limit, 2.0, 1e-3).expect("room");
        for trial in 1..60 {
            match search.learn(t(search.next())) {
                Step::Next => assert!((search.next() - 1.0) * (limit - 1.0) > 0.0, "{search:?}"),
                end => return (trial, end),
            }
        }
        panic!("no end: {search:?}")
    }

    #[test]
    fn ends_are_where_the_profile_reaches_the_quantile() {
        for (unit, limit) in [(0.1, 9.0), (3.0, 9.0), (0.4, -9.0)] {
            // A straight profile, one that levels off above the quantile and one that grows steeper.
            for (curve, truth) in [
                ((|d: f64| 2.5 * d) as fn(f64) -> f64, 0.8),
                (|d| 2.5 * (1.0 - (-d).exp()), 5f64.ln()),
                (|d| d * d, 2f64.sqrt()),
            ] {
                let (trials, end) = sought(unit, limit, |x| curve((x - 1.0).abs()));
                let Step::Found(x) = end else { panic!("{end:?}") };
                assert!(((x - 1.0).abs() - truth).abs() < 0.01 && trials < 12, "{unit} {limit}: {x} in {trials}");
            }
            let open = sought(unit, limit, |x| 1.9 * (1.0 - (-(x - 1.0).abs()).exp()));
            assert_eq!(open.1, Step::Open);
        }
        assert!(Search::new(1.0, 0.1, 1.0, 2.0, 1e-3).is_none(), "no room");
    }
}
