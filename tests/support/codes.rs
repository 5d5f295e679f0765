//! The codes, their HTTP statuses and messages, written down once more apart from the crate's own table: clients depend on them to
//! the letter.

use std::collections::HashMap;

/// Every code, without `MDRM-`.
pub fn all() -> Vec<u16> {
    let rows = include_str!("../codes.tsv").lines().skip(1);
    rows.map(|row| row["MDRM-".len()..].split('\t').next().unwrap().parse().unwrap()).collect()
}

/// HTTP status and message of a code, which is given without `MDRM-`.
pub fn status_and_message(code: u16) -> (u16, &'static str) {
    rows().find(|row| row.0 == code).map(|(_, status, message)| (status, message)).expect("a code of the table")
}

/// The HTTP status of each code, which is given without `MDRM-`.
pub fn statuses() -> HashMap<u16, u16> {
    rows().map(|(code, status, _)| (code, status)).collect()
}

fn rows() -> impl Iterator<Item = (u16, u16, &'static str)> {
    let rows = include_str!("../codes.tsv").lines().skip(1);
    rows.map(|row| {
        let row: Vec<&str> = row.splitn(3, '\t').collect();
        (row[0].strip_prefix("MDRM-").unwrap().parse().unwrap(), row[1].parse().unwrap(), row[2])
    })
}
