//! Posted lines on their way into the lake: packed, some thousand in one row of the book.
//!
//! A posted line never changes again and only waits for the next filing. Written row by row, those of a long import
//! would cost more than its pricing; packed, they are written once, read once and deleted together.

use kernel::id::ServicePointId;
use kernel::time::LocalDate;

use super::lines::{ENERGY, LineKey};
use super::posting::SettledLine;
use crate::lake::flush::ChargeRow;

/// Lines in one row of the book (some 400 kB).
pub(super) const LINES: usize = 16_384;
/// The layout of a row, its first byte. When you change it, go on reading the old one.
const FORMAT: u8 = 1;
/// Bytes of a line: four numbers of 4, two of 8, one of 16, a band and a tier.
const WIDTH: usize = 4 * 4 + 2 * 8 + 16 + 1 + 2;

/// Packs lines, all for [`ENERGY`].
pub(super) fn pack(lines: &[SettledLine]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + lines.len() * WIDTH);
    bytes.push(FORMAT);
    for SettledLine { transfer, point: ServicePointId(point), key, sum } in lines {
        let LineKey { account, date, version, band, tier } = key;
        bytes.extend(transfer.to_le_bytes());
        bytes.extend(point.to_le_bytes());
        bytes.extend(account.0.to_le_bytes());
        bytes.extend(date.0.to_le_bytes());
        bytes.extend(version.0.to_le_bytes());
        bytes.push(*band);
        bytes.extend(tier.to_le_bytes());
        bytes.extend(sum.quantity.0.to_le_bytes());
        bytes.extend(sum.amount.0.to_le_bytes());
    }
    bytes
}

/// The lines of a row; none where it is damaged or of a newer release.
pub(crate) fn unpack(bytes: &[u8]) -> Option<impl Iterator<Item = ChargeRow> + '_> {
    let lines = match bytes.split_first() {
        Some((&FORMAT, lines)) if lines.len() % WIDTH == 0 => lines,
        _ => return None,
    };
    Some(lines.chunks_exact(WIDTH).map(|mut line| {
        let rest = &mut line;
        ChargeRow {
            transfer: i64::from_le_bytes(take(rest)),
            service_point: u32::from_le_bytes(take(rest)),
            account: u32::from_le_bytes(take(rest)),
            date: LocalDate(i32::from_le_bytes(take(rest))),
            version: u32::from_le_bytes(take(rest)),
            band: u8::from_le_bytes(take(rest)),
            tier: u16::from_le_bytes(take(rest)),
            component: ENERGY,
            quantity: i64::from_le_bytes(take(rest)),
            amount: i128::from_le_bytes(take(rest)),
        }
    }))
}

/// The next bytes of a line, which is whole: [`unpack`] has seen to that.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let Some((first, others)) = rest.split_first_chunk() else { return [0; N] };
    *rest = others;
    *first
}

#[cfg(test)]
mod tests {
    use kernel::id::{AccountId, TariffVersionId};
    use kernel::money::{Amount, Quantity};

    use super::super::lines::Sum;
    use super::*;

    #[test]
    fn lines_come_back_as_they_were_packed() {
        let line = |transfer, band, tier, quantity, amount| SettledLine {
            transfer,
            point: ServicePointId(7),
            key: LineKey { account: AccountId(3), date: LocalDate(-1), version: TariffVersionId(9), band, tier },
            sum: Sum { quantity: Quantity(quantity), amount: Amount(amount) },
        };
        let lines =
            [line(1, 0, 1, 1_500, 12_345_678_900), line(-4, 5, 65_535, i64::MIN, i128::MIN), line(2, 1, 1, 0, 0)];
        let back: Vec<ChargeRow> = unpack(&pack(&lines)).unwrap().collect();
        assert_eq!(back.len(), lines.len());
        for (row, line) in back.iter().zip(&lines) {
            assert_eq!((row.transfer, row.service_point, row.account), (line.transfer, 7, 3));
            assert_eq!((row.date, row.version, row.band, row.tier), (LocalDate(-1), 9, line.key.band, line.key.tier));
            assert_eq!((row.quantity, row.amount), (line.sum.quantity.0, line.sum.amount.0));
        }
    }

    #[test]
    fn a_damaged_or_newer_row_is_refused() {
        let whole = pack(&[]);
        assert_eq!(unpack(&whole).map(Iterator::count), Some(0));
        for damaged in [&[][..], &[2], &[1, 0]] {
            assert!(unpack(damaged).is_none(), "{damaged:?}");
        }
    }
}
