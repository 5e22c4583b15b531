//! The least squares fit of a curve that only falls: no model, and time in proportion to the points.

/// One level of the fit: a run of points that share it.
#[derive(Debug, Clone, Copy)]
struct Level {
    mean: f64,
    weight: f64,
    points: usize,
}

/// Fits values that do not rise, by pooling adjacent violators (Barlow 1972, ISBN 978-0-471-04970-8), and leaves the
/// number of distinct levels: the degrees of freedom of the fit (Meyer & Woodroofe 2000, doi 10.1214/aos/1015956708).
#[derive(Debug, Default)]
pub(super) struct Falling {
    levels: Vec<Level>,
}

impl Falling {
    /// Replaces `fitted` by the fit to (value, weight) points in order of dose; answers the number of levels.
    pub fn fit(&mut self, points: impl Iterator<Item = (f64, f64)>, fitted: &mut Vec<f64>) -> usize {
        self.levels.clear();
        for (value, weight) in points {
            let mut level = Level { mean: value, weight, points: 1 };
            while let Some(before) = self.levels.last().filter(|before| before.mean < level.mean).copied() {
                let weight = before.weight + level.weight;
                level = Level {
                    mean: (before.mean * before.weight + level.mean * level.weight) / weight,
                    weight,
                    points: before.points + level.points,
                };
                self.levels.pop();
            }
            self.levels.push(level);
        }
        fitted.clear();
        for level in &self.levels {
            fitted.extend(std::iter::repeat_n(level.mean, level.points));
        }
        self.levels.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_what_falls_and_pools_what_rises() {
        let (mut falling, mut fitted) = (Falling::default(), Vec::new());
        assert_eq!(falling.fit([(3.0, 1.0), (2.0, 1.0), (1.0, 1.0)].into_iter(), &mut fitted), 3);
        assert_eq!(fitted, [3.0, 2.0, 1.0]);
        // The last value pulls both before it down: (1 + 2 + 3·3) / 5.
        assert_eq!(falling.fit([(4.0, 1.0), (1.0, 1.0), (2.0, 1.0), (3.0, 3.0)].into_iter(), &mut fitted), 2);
        assert_eq!(fitted, [4.0, 2.4, 2.4, 2.4]);
        assert_eq!(falling.fit(std::iter::empty(), &mut fitted), 0);
        assert!(fitted.is_empty());
    }
}
