//! Columns of any sensible Arrow type as text or as numbers.

use super::failure;
use super::parquet_file::ParquetFile;
use crate::Result;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};

/// Whether a column can be read as text: names may be whole numbers, or floats that stand for them.
pub(super) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean => true,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => is_number(data_type),
    }
}

/// Whether a column can be read as numbers.
pub(super) fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => true,
        DataType::Dictionary(_, values) => is_number(values),
        // A column without a single value has no type of its own.
        DataType::Null => true,
        _ => data_type.is_numeric(),
    }
}

/// Whether a column holds whole numbers that all fit into 64 bits with a sign.
pub(super) fn is_integer(data_type: &DataType) -> bool {
    use DataType::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32};
    matches!(data_type, Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32)
}

/// A type in the words of people who write tables.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Dictionary(_, values) => type_name(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Boolean => "true or false".into(),
        DataType::List(_) | DataType::LargeList(_) => "lists".into(),
        DataType::Struct(_) => "structures".into(),
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => "dates".into(),
        other => other.to_string(),
    }
}

/// Refuses a column of the file that does not hold what is expected of it.
///
/// # Errors
/// [`crate::Error::Format`] naming the column, what it is to hold and what it holds.
pub(super) fn check_type(file: &ParquetFile, column: usize, ours: &str, numbers: bool) -> Result<()> {
    let data_type = file.column_type(column);
    let fits = if numbers { is_number(data_type) } else { is_text(data_type) };
    if fits {
        return Ok(());
    }
    let expected = if numbers { "numbers" } else { "text" };
    Err(failure::of_column(
        file.path(),
        file.column_names()[column],
        format!("holds {}, but `{ours}` must be {expected}", type_name(data_type)),
        None,
    ))
}

/// The column at `position` of a batch as text.
///
/// # Errors
/// [`crate::Error::Format`] if it cannot be read so.
pub(super) fn text(file: &ParquetFile, batch: &RecordBatch, position: usize) -> Result<StringArray> {
    let array = batch.column(position);
    match array.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            Ok(float_names(&converted(file, batch, position, &DataType::Float64)?))
        }
        _ => Ok(converted(file, batch, position, &DataType::Utf8)?.as_string::<i32>().clone()),
    }
}

/// The column at `position` of a batch as numbers. Whole numbers beyond 2⁵³ lose their last digits, as in every
/// spreadsheet.
///
/// # Errors
/// [`crate::Error::Format`] if it cannot be read so.
pub(super) fn numbers(file: &ParquetFile, batch: &RecordBatch, position: usize) -> Result<Float64Array> {
    Ok(converted(file, batch, position, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// The column at `position` of a batch as whole numbers, for a type of which [`is_integer`] holds.
///
/// # Errors
/// [`crate::Error::Format`] if it cannot be read so.
pub(super) fn integers(file: &ParquetFile, batch: &RecordBatch, position: usize) -> Result<Int64Array> {
    Ok(converted(file, batch, position, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

fn converted(file: &ParquetFile, batch: &RecordBatch, position: usize, to: &DataType) -> Result<ArrayRef> {
    let array = batch.column(position);
    let failed =
        |problem: String| failure::of_column(file.path(), batch.schema().field(position).name(), problem, None);
    let converted = cast(array, to).map_err(|error| failed(error.to_string()))?;
    // A value that cannot be converted becomes a null: never silently.
    if converted.null_count() > array.logical_null_count() {
        return Err(failed(format!(
            "holds values that are not {}",
            if to == &DataType::Utf8 { "text" } else { "numbers" }
        )));
    }
    Ok(converted)
}

/// Float columns that stand for names: tools that know no missing integers write 1003 as 1003.0.
fn float_names(array: &ArrayRef) -> StringArray {
    let values = array.as_primitive::<Float64Type>();
    let mut names = StringBuilder::with_capacity(values.len(), values.len() * 6);
    for value in values {
        match value {
            Some(value) if value.is_finite() => names.append_value(value.to_string()),
            _ => names.append_null(),
        }
    }
    names.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn float_ids_lose_their_point() {
        let array: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(1003.0), Some(0.5), None, Some(f64::NAN), Some(1e15)]));
        let names: Vec<Option<String>> = float_names(&array).iter().map(|n| n.map(str::to_owned)).collect();
        assert_eq!(names, [Some("1003".into()), Some("0.5".into()), None, None, Some("1000000000000000".into())]);
    }
}
