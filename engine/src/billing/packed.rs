//! Posted lines on their way into the lake: packed, some thousand in one row of the book.
//!
//! A posted line never changes again and only waits for the next filing. Written row by row, those of a long import
//! would cost more than its pricing; packed, they are written once, read once and deleted together.

use std::collections::BTreeSet;

use kernel::id::ServicePointId;
use kernel::time::LocalDate;

use super::lines::{ComponentName, ENERGY, LineKey};
use super::posting::SettledLine;
use crate::lake::flush::ChargeRow;

/// Lines in one row of the book (some 400 kB).
pub(super) const LINES: usize = 16_384;
/// The layout of a row, its first byte. When you change it, go on reading the old one. The first layout has lines for
/// [`ENERGY`] alone; the second begins with the names of the other components (how many, in 2 bytes; of each its length
/// in bytes, in 2 bytes, and the name), and each line ends with the place of its own from 1, in 2 bytes, or 0 for energy.
const ENERGY_ONLY: u8 = 1;
const NAMED: u8 = 2;
/// Bytes of a line of the first layout: four numbers of 4, two of 8, one of 16, a band and a tier.
const WIDTH: usize = 4 * 4 + 2 * 8 + 16 + 1 + 2;
/// Bytes of a line of the second.
const NAMED_WIDTH: usize = WIDTH + 2;

/// Packs lines.
pub(super) fn pack(lines: &[SettledLine]) -> Vec<u8> {
    let others = lines.iter().map(|line| line.key.component).filter(|name| *name != ComponentName::ENERGY);
    let names: Vec<ComponentName> = others.collect::<BTreeSet<_>>().into_iter().collect();
    // A row has 16,384 lines at most, and a name some hundred bytes.
    let short = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
    let width = if names.is_empty() { WIDTH } else { NAMED_WIDTH };
    let mut bytes = Vec::with_capacity(1 + lines.len() * width);
    bytes.push(if names.is_empty() { ENERGY_ONLY } else { NAMED });
    if !names.is_empty() {
        bytes.extend(short(names.len()).to_le_bytes());
        for name in &names {
            bytes.extend(short(name.as_str().len()).to_le_bytes());
            bytes.extend(name.as_str().as_bytes());
        }
    }
    for SettledLine { transfer, point: ServicePointId(point), key, sum } in lines {
        let LineKey { account, date, version, band, tier, component } = key;
        bytes.extend(transfer.to_le_bytes());
        bytes.extend(point.to_le_bytes());
        bytes.extend(account.0.to_le_bytes());
        bytes.extend(date.0.to_le_bytes());
        bytes.extend(version.0.to_le_bytes());
        bytes.push(*band);
        bytes.extend(tier.to_le_bytes());
        bytes.extend(sum.quantity.0.to_le_bytes());
        bytes.extend(sum.amount.0.to_le_bytes());
        if !names.is_empty() {
            bytes.extend(short(names.binary_search(component).map_or(0, |place| place + 1)).to_le_bytes());
        }
    }
    bytes
}

/// The lines of a row; none where it is damaged or of a newer release.
pub(crate) fn unpack(bytes: &[u8]) -> Option<impl Iterator<Item = ChargeRow> + '_> {
    let (names, lines, width) = match bytes.split_first()? {
        (&ENERGY_ONLY, lines) => (Vec::new(), lines, WIDTH),
        (&NAMED, rest) => {
            let (names, lines) = names(rest)?;
            (names, lines, NAMED_WIDTH)
        }
        _ => return None,
    };
    if !lines.len().is_multiple_of(width) {
        return None;
    }
    Some(lines.chunks_exact(width).map(move |mut line| {
        let rest = &mut line;
        let mut row = ChargeRow {
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
        };
        if width == NAMED_WIDTH {
            let place = usize::from(u16::from_le_bytes(take(rest)));
            row.component = place.checked_sub(1).and_then(|place| names.get(place)).copied().unwrap_or(ENERGY);
        }
        row
    }))
}

/// The names at the beginning of the second layout, and what follows them.
fn names(mut rest: &[u8]) -> Option<(Vec<&'static str>, &[u8])> {
    let short = |rest: &mut &[u8]| {
        let (first, others) = rest.split_first_chunk::<2>()?;
        *rest = others;
        Some(usize::from(u16::from_le_bytes(*first)))
    };
    let count = short(&mut rest)?;
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        let length = short(&mut rest)?;
        let (name, others) = rest.split_at_checked(length)?;
        names.push(ComponentName::of(std::str::from_utf8(name).ok()?).as_str());
        rest = others;
    }
    Some((names, rest))
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
            key: LineKey {
                account: AccountId(3),
                date: LocalDate(-1),
                version: TariffVersionId(9),
                band,
                tier,
                component: ComponentName::ENERGY,
            },
            sum: Sum { quantity: Quantity(quantity), amount: Amount(amount) },
        };
        let energy =
            [line(1, 0, 1, 1_500, 12_345_678_900), line(-4, 5, 65_535, i64::MIN, i128::MIN), line(2, 1, 1, 0, 0)];
        // With other components among them the layout is another.
        let mut mixed = [energy.as_slice(), energy.as_slice(), energy.as_slice()].concat();
        for (place, name) in [(0, "污水处理费"), (4, "basic"), (5, "污水处理费")] {
            mixed[place].key.component = ComponentName::of(name);
        }
        assert_eq!((pack(&energy)[0], pack(&mixed)[0]), (ENERGY_ONLY, NAMED));
        for lines in [energy.as_slice(), mixed.as_slice()] {
            let back: Vec<ChargeRow> = unpack(&pack(lines)).unwrap().collect();
            assert_eq!(back.len(), lines.len());
            for (row, line) in back.iter().zip(lines) {
                assert_eq!((row.transfer, row.service_point, row.account), (line.transfer, 7, 3));
                let key = &line.key;
                assert_eq!((row.date, row.version, row.band, row.tier), (LocalDate(-1), 9, key.band, key.tier));
                assert_eq!(row.component, key.component.as_str());
                assert_eq!((row.quantity, row.amount), (line.sum.quantity.0, line.sum.amount.0));
            }
        }
    }

    #[test]
    fn a_damaged_or_newer_row_is_refused() {
        let whole = pack(&[]);
        assert_eq!(unpack(&whole).map(Iterator::count), Some(0));
        for damaged in [&[][..], &[2], &[1, 0], &[3], &[2, 1, 0], &[2, 1, 0, 9, 0, 65], &[2, 0, 0, 0]] {
            assert!(unpack(damaged).is_none(), "{damaged:?}");
        }
    }
}
