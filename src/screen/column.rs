//! A column of values that are mostly one and the same: which replicate, what second drug.

/// Equal to the last bit: what a column may keep once for all its rows.
pub trait Same: Copy + Default {
    /// Whether nobody could tell them apart.
    fn same(self, other: Self) -> bool;
}

impl Same for u32 {
    #[inline]
    fn same(self, other: Self) -> bool {
        self == other
    }
}

impl Same for f64 {
    #[inline]
    fn same(self, other: Self) -> bool {
        self.to_bits() == other.to_bits()
    }
}

impl Same for Option<f64> {
    #[inline]
    fn same(self, other: Self) -> bool {
        self.map(f64::to_bits) == other.map(f64::to_bits)
    }
}

/// Values by row. As long as all are the same, only the first is kept.
#[derive(Debug, Clone, Default)]
pub struct Column<T> {
    len: usize,
    first: T,
    /// Empty while all are the first.
    values: Vec<T>,
}

impl<T: Same> Column<T> {
    /// Adds a row.
    #[inline]
    pub fn push(&mut self, value: T) {
        if !self.values.is_empty() {
            self.values.push(value);
        } else if self.len == 0 {
            self.first = value;
        } else if !value.same(self.first) {
            self.values.reserve(self.values.capacity().max(2 * self.len));
            self.values.resize(self.len, self.first);
            self.values.push(value);
        }
        self.len += 1;
    }

    /// The value of a row.
    ///
    /// # Panics
    /// Where there is no such row, if not all are the same.
    #[inline]
    pub fn at(&self, row: usize) -> T {
        if self.values.is_empty() { self.first } else { self.values[row] }
    }

    /// The value of every row, where there is only one.
    pub fn only(&self) -> Option<T> {
        self.values.is_empty().then_some(self.first)
    }

    /// Replaces every value by what `replace` makes of it.
    pub fn replace(&mut self, replace: impl Fn(T) -> T) {
        self.first = replace(self.first);
        self.values.iter_mut().for_each(|value| *value = replace(*value));
    }

    /// These rows, in this order.
    pub fn select(&self, rows: &[u32]) -> Self {
        match self.only() {
            Some(first) => Self { len: rows.len(), first, values: Vec::new() },
            None => {
                let values = rows.iter().map(|row| self.values[*row as usize]).collect();
                Self { len: rows.len(), first: self.first, values }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_value_is_told_from_the_first_by_its_bits() {
        let mut column = Column::default();
        [0.0, 0.0].into_iter().for_each(|value| column.push(value));
        assert_eq!(column.only(), Some(0.0));
        column.push(-0.0);
        column.push(f64::NAN);
        let bits = |column: &Column<f64>| (0..column.len).map(|row| column.at(row).to_bits()).collect::<Vec<_>>();
        let expected = [0.0, 0.0, -0.0, f64::NAN].map(f64::to_bits);
        assert_eq!((bits(&column), column.only()), (expected.to_vec(), None));
        assert_eq!(bits(&column.select(&[2, 0])), [expected[2], expected[0]]);
        let mut nans = Column::default();
        [Some(f64::NAN), Some(f64::NAN), None].into_iter().for_each(|value| nans.push(value));
        assert_eq!(nans.values.len(), 3);
        nans.replace(|value| value.map(|_| 1.0));
        assert_eq!((0..3).map(|row| nans.at(row)).collect::<Vec<_>>(), [Some(1.0), Some(1.0), None]);
    }
}
