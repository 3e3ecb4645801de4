//! Numbers as people read them.

use std::fmt::Write;

/// A count, its thousands apart.
pub(crate) fn count(count: u64) -> String {
    grouped(&count.to_string())
}

pub(crate) fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("−", rest));
    let mut out = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number in about four digits.
pub(crate) fn decimal(value: f64) -> String {
    let size = value.abs();
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = match size {
        0.0 => write!(text, "0"),
        _ if !(1e-4..1e9).contains(&size) => write!(text, "{value:.3e}"),
        _ if value.fract() == 0.0 => return grouped(&format!("{value:.0}")),
        _ if size >= 1000.0 => return grouped(&format!("{value:.0}")),
        _ if size >= 100.0 => write!(text, "{value:.1}"),
        _ if size >= 10.0 => write!(text, "{value:.2}"),
        _ if size >= 1.0 => write!(text, "{value:.3}"),
        _ => write!(text, "{value:.4}"),
    };
    if text.contains('.') && !text.contains('e') {
        text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (5.0, "5"),
            (-1234.0, "−1,234"),
            (2.34567, "2.346"),
            (0.5, "0.5"),
            (12345.6, "12,346"),
            (1e-9, "1.000e−9"),
            (2.5e12, "2.500e12"),
            (99.994, "99.99"),
        ] {
            assert_eq!(decimal(number), text);
        }
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(999), "999");
    }
}
