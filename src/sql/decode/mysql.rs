//! The binary protocol of MySQL and MariaDB. Texts of dates and times are the server's own, with as many digits of
//! fraction as the column has.

use sqlx::mysql::{MySql, MySqlRow, MySqlValueRef};
use sqlx::{Column as _, Decode, Row as _, TypeInfo as _};

use crate::model::{Row, Value};
use crate::sql::statement::Read;

/// All values of a row.
pub(in crate::sql) fn row(row: &MySqlRow, reads: &[Read]) -> Result<Row, sqlx::Error> {
    let (mut values, mut room) = (Row::with_capacity(reads.len()), super::Room::new());
    for (at, read) in reads.iter().enumerate() {
        values.push(room.take(value(row.try_get_raw(at)?, *read)?));
    }
    Ok(values)
}

fn value(raw: MySqlValueRef<'_>, read: Read) -> Result<Value, sqlx::Error> {
    // `is_null` would take a zero date for NULL; the bytes themselves only fail to decode for a real NULL.
    let Ok(bytes) = <&[u8] as Decode<'_, MySql>>::decode(raw) else { return Ok(Value::Null) };
    decode(bytes, read).ok_or_else(|| {
        sqlx::Error::Protocol(format!("{} bytes do not make a value read as {read:?}", bytes.len()))
    })
}

fn decode(bytes: &[u8], read: Read) -> Option<Value> {
    Some(match read {
        Read::Int => Value::Int(match bytes.len() {
            8 => i64::from_le_bytes(bytes.try_into().ok()?),
            4 => i64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
            2 => i64::from(i16::from_le_bytes(bytes.try_into().ok()?)),
            1 => i64::from(i8::from_le_bytes(bytes.try_into().ok()?)),
            _ => return None,
        }),
        Read::UInt => Value::uint(match bytes.len() {
            8 => u64::from_le_bytes(bytes.try_into().ok()?),
            4 => u64::from(u32::from_le_bytes(bytes.try_into().ok()?)),
            2 => u64::from(u16::from_le_bytes(bytes.try_into().ok()?)),
            1 => u64::from(*bytes.first()?),
            _ => return None,
        }),
        Read::F32 => Value::F32(f32::from_le_bytes(bytes.try_into().ok()?)),
        Read::F64 => Value::F64(f64::from_le_bytes(bytes.try_into().ok()?)),
        Read::Bytes | Read::Uuid => Value::Bytes(bytes.into()),
        Read::Date => Value::text(date(body(bytes)?)?),
        Read::DateTime(digits) => Value::text(date_time(body(bytes)?, digits)?),
        Read::Time(digits) => Value::text(time(body(bytes)?, digits)?),
        Read::Text | Read::Host | Read::Padded | Read::Dynamic | Read::Bool => super::text(bytes),
    })
}

/// Dates and times carry their own length in front.
fn body(bytes: &[u8]) -> Option<&[u8]> {
    let (length, body) = bytes.split_first()?;
    (usize::from(*length) == body.len()).then_some(body)
}

fn date(body: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(10);
    push_date(&mut text, body)?;
    Some(text)
}

fn push_date(text: &mut String, body: &[u8]) -> Option<()> {
    // An empty body is the zero date.
    let (year, month, day) = match body {
        [] => (0, 0, 0),
        [y0, y1, month, day, ..] => (u16::from_le_bytes([*y0, *y1]), *month, *day),
        _ => return None,
    };
    push_digits(text, u32::from(year), 4);
    text.push('-');
    push_digits(text, u32::from(month), 2);
    text.push('-');
    push_digits(text, u32::from(day), 2);
    Some(())
}

fn date_time(body: &[u8], digits: u8) -> Option<String> {
    let mut text = String::with_capacity(26);
    push_date(&mut text, body)?;
    let clock = match body {
        [] | [_, _, _, _] => [0, 0, 0],
        [_, _, _, _, hour, minute, second, ..] => [*hour, *minute, *second],
        _ => return None,
    };
    text.push(' ');
    push_clock(&mut text, clock.map(u32::from));
    push_fraction(&mut text, body.get(7..).unwrap_or_default(), digits)?;
    Some(text)
}

fn time(body: &[u8], digits: u8) -> Option<String> {
    let mut text = String::with_capacity(17);
    let (negative, days, hour, minute, second) = match body {
        [] => (false, 0, 0, 0, 0),
        [sign, d0, d1, d2, d3, hour, minute, second, ..] => {
            (*sign != 0, u32::from_le_bytes([*d0, *d1, *d2, *d3]), *hour, *minute, *second)
        }
        _ => return None,
    };
    if negative {
        text.push('-');
    }
    let hours = days.checked_mul(24)?.checked_add(u32::from(hour))?;
    push_clock(&mut text, [hours, u32::from(minute), u32::from(second)]);
    push_fraction(&mut text, body.get(8..).unwrap_or_default(), digits)?;
    Some(text)
}

fn push_clock(text: &mut String, [hours, minutes, seconds]: [u32; 3]) {
    push_digits(text, hours, 2);
    text.push(':');
    push_digits(text, minutes, 2);
    text.push(':');
    push_digits(text, seconds, 2);
}

fn push_fraction(text: &mut String, micros: &[u8], digits: u8) -> Option<()> {
    let micros = match micros {
        [] => 0,
        four => u32::from_le_bytes(four.try_into().ok()?),
    };
    if digits > 0 {
        text.push('.');
        push_digits(text, micros, 6);
        text.truncate(text.len() - 6 + usize::from(digits.min(6)));
    }
    Some(())
}

/// Writes a number with at least `width` digits. The formatting machinery takes several times as long, and a table of
/// a million rows has a few million times in it.
fn push_digits(text: &mut String, mut n: u32, width: usize) {
    let mut digits = [b'0'; 10];
    let mut at = digits.len();
    while n > 0 || digits.len() - at < width {
        at -= 1;
        digits[at] = b'0' + u8::try_from(n % 10).expect("a digit");
        n /= 10;
    }
    text.push_str(std::str::from_utf8(&digits[at..]).expect("digits are ASCII"));
}

/// Compares what the server announces with what the catalogue had said.
pub(in crate::sql) fn check(row: &MySqlRow, reads: &[Read]) -> Result<(), String> {
    if row.columns().len() != reads.len() {
        return Err(format!("{} columns were asked for, {} came", reads.len(), row.columns().len()));
    }
    for (column, read) in row.columns().iter().zip(reads) {
        let name = column.type_info().name();
        let integer = || name == "BOOLEAN" || name == "YEAR" || name.contains("INT");
        let fits = match read {
            Read::Int => integer() && !name.contains("UNSIGNED"),
            Read::UInt => integer(),
            Read::F32 => name == "FLOAT",
            Read::F64 => name == "DOUBLE",
            Read::Date => name == "DATE",
            Read::DateTime(_) => matches!(name, "DATETIME" | "TIMESTAMP"),
            Read::Time(_) => name == "TIME",
            _ => {
                !(integer()
                    || matches!(name, "FLOAT" | "DOUBLE" | "DATE" | "DATETIME" | "TIMESTAMP" | "TIME"))
            }
        };
        if !fits {
            return Err(format!(
                "column `{}` is {} now and was not when cupid read the catalogue; the table was altered",
                column.name(),
                name.to_lowercase()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_by_width_and_sign() {
        assert_eq!(decode(&[0xff], Read::Int), Some(Value::Int(-1)));
        assert_eq!(decode(&[0xff], Read::UInt), Some(Value::Int(255)));
        assert_eq!(decode(&[0xff; 8], Read::Int), Some(Value::Int(-1)));
        assert_eq!(decode(&[0xff; 8], Read::UInt), Some(Value::UInt(u64::MAX)));
        assert_eq!(decode(&[0xff, 0xff, 0x7f, 0], Read::Int), Some(Value::Int(8_388_607)));
        assert_eq!(decode(&[1, 2, 3], Read::Int), None);
    }

    #[test]
    fn times_keep_the_digits_of_their_column() {
        let noon = [11, 0xe8, 0x07, 2, 29, 12, 0, 1, 0x40, 0xe2, 1, 0];
        let cases: [(&[u8], Read, &str); 10] = [
            (&[0], Read::Date, "0000-00-00"),
            (&[4, 0xe8, 0x07, 2, 29], Read::Date, "2024-02-29"),
            (&[0], Read::DateTime(3), "0000-00-00 00:00:00.000"),
            (&[4, 0xe8, 0x07, 0, 0], Read::DateTime(0), "2024-00-00 00:00:00"),
            (&[7, 0xe8, 0x07, 2, 29, 12, 0, 1], Read::DateTime(6), "2024-02-29 12:00:01.000000"),
            (&noon, Read::DateTime(6), "2024-02-29 12:00:01.123456"),
            (&noon, Read::DateTime(2), "2024-02-29 12:00:01.12"),
            (&[0], Read::Time(0), "00:00:00"),
            (&[8, 1, 34, 0, 0, 0, 22, 59, 59], Read::Time(0), "-838:59:59"),
            (&[12, 0, 0, 0, 0, 0, 1, 2, 3, 1, 0, 0, 0], Read::Time(6), "01:02:03.000001"),
        ];
        for (bytes, read, text) in cases {
            assert_eq!(decode(bytes, read), Some(Value::text(text)), "{bytes:?}");
        }
        assert_eq!(decode(&[7, 0xe8, 0x07], Read::Date), None, "a wrong length is no value");
    }
}
