//! Names of system calls to numbers, for the three ways in which a program can call this kernel.

use super::table::ROWS;

/// The call does not exist there.
pub(super) const NO: u16 = 0x1ff;
/// The calls of x32 that are its own have numbers from here on; all others have those of x86_64.
const X32_OWN: u16 = 512;
/// Above every number of the table.
pub(super) const LIMIT: usize = 560;

/// The longest name and one more.
const LENGTHS: usize = 32;

/// What `ROWS` says in a third of the space: the names of each length in one piece, so that no offsets are needed, and
/// three bytes of numbers for each name. 9 bits x86_64, 9 bits x86, 6 bits x32.
struct Packed<const TEXT: usize, const NUMBERS: usize> {
    text: [u8; TEXT],
    numbers: [u8; NUMBERS],
    /// How many names are shorter than this, and how many bytes they have.
    starts: [(u16, u16); LENGTHS],
}

const SAME: u32 = 0;
const NONE: u32 = 63;

static TABLE: Packed<{ text_size() }, { ROWS.len() * 3 }> = pack();

const fn text_size() -> usize {
    let (mut size, mut row) = (0, 0);
    while row < ROWS.len() {
        size += ROWS[row].0.len();
        row += 1;
    }
    size
}

/// Packs the rows; a build fails if they are out of order or do not fit.
const fn pack<const TEXT: usize, const NUMBERS: usize>() -> Packed<TEXT, NUMBERS> {
    let mut packed = Packed { text: [0; TEXT], numbers: [0; NUMBERS], starts: [(0, 0); LENGTHS] };
    let (mut row, mut at, mut length) = (0, 0, 0);
    while row < ROWS.len() {
        let (name, x86_64, x86, x32) = ROWS[row];
        let name = name.as_bytes();
        assert!(name.len() >= length && name.len() < LENGTHS - 1, "the short names come first");
        while length < name.len() {
            length += 1;
            packed.starts[length] = (row as u16, at as u16);
        }
        let mut i = 0;
        while i < name.len() {
            packed.text[at + i] = name[i];
            i += 1;
        }
        at += name.len();
        assert!(x86_64 <= NO && x86 <= NO && (x32 < LIMIT as u16));
        let x32 = match x32 {
            NO => NONE,
            own if own >= X32_OWN => (own - X32_OWN) as u32 + 1,
            same => {
                assert!(same == x86_64);
                SAME
            }
        };
        let bits = (x86_64 as u32 | (x86 as u32) << 9 | x32 << 18).to_le_bytes();
        packed.numbers[row * 3] = bits[0];
        packed.numbers[row * 3 + 1] = bits[1];
        packed.numbers[row * 3 + 2] = bits[2];
        row += 1;
    }
    while length < LENGTHS - 1 {
        length += 1;
        packed.starts[length] = (row as u16, at as u16);
    }
    packed
}

/// The numbers of a call, without the bit that marks x32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) x86_64: Option<u16>,
    pub(super) x86: Option<u16>,
    pub(super) x32: Option<u16>,
    /// The call of x86 that does the same if its first argument is this: how programs there call it mostly.
    pub(super) multiplexed: Option<(u16, u32)>,
}

/// What a name stands for; none if no machine has such a call.
pub(super) fn find(name: &str) -> Option<Numbers> {
    let wanted = name.as_bytes();
    let length = wanted.len();
    if length == 0 || length >= LENGTHS - 1 {
        return None;
    }
    let (first, text) = TABLE.starts[length];
    let mut names = &TABLE.text[text as usize..TABLE.starts[length + 1].1 as usize];
    let mut row = first as usize;
    loop {
        let middle = names.len() / length / 2;
        let candidate = names.get(middle * length..(middle + 1) * length)?;
        match candidate.cmp(wanted) {
            core::cmp::Ordering::Equal => return Some(numbers(row + middle, name)),
            core::cmp::Ordering::Less => {
                names = &names[(middle + 1) * length..];
                row += middle + 1;
            }
            core::cmp::Ordering::Greater => names = &names[..middle * length],
        }
    }
}

fn numbers(row: usize, name: &str) -> Numbers {
    let bits = [TABLE.numbers[row * 3], TABLE.numbers[row * 3 + 1], TABLE.numbers[row * 3 + 2], 0];
    let bits = u32::from_le_bytes(bits);
    let number = |bits: u32| Some(bits as u16 & NO).filter(|number| *number != NO);
    let (x86_64, x86) = (number(bits), number(bits >> 9));
    let x32 = match bits >> 18 {
        NONE => None,
        SAME => x86_64,
        own => Some(X32_OWN + own as u16 - 1),
    };
    Numbers { x86_64, x86, x32, multiplexed: multiplexed(name, x86) }
}

/// socketcall(2) and ipc(2), by the numbers that the calls got later, or by name if they have none.
fn multiplexed(name: &str, x86: Option<u16>) -> Option<(u16, u32)> {
    const SOCKETCALL: u16 = 102;
    const IPC: u16 = 117;
    // From socket (359) to shutdown (373), and from semget (393) to msgctl (402).
    static SOCKET_CALLS: [u8; 15] = [1, 8, 2, 3, 4, 18, 15, 14, 6, 7, 11, 16, 12, 17, 13];
    static IPC_CALLS: [u8; 10] = [2, 3, 23, 24, 21, 22, 13, 11, 12, 14];
    match (name, x86) {
        (_, Some(number @ 359..=373)) => Some((SOCKETCALL, u32::from(SOCKET_CALLS[usize::from(number) - 359]))),
        (_, Some(number @ 393..=402)) => Some((IPC, u32::from(IPC_CALLS[usize::from(number) - 393]))),
        ("recvmmsg", _) => Some((SOCKETCALL, 19)),
        ("sendmmsg", _) => Some((SOCKETCALL, 20)),
        ("accept", None) => Some((SOCKETCALL, 5)),
        ("send", None) => Some((SOCKETCALL, 9)),
        ("recv", None) => Some((SOCKETCALL, 10)),
        ("semop", None) => Some((IPC, 1)),
        ("semtimedop", None) => Some((IPC, 4)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found() {
        let number = |number: u16| Some(number).filter(|number| *number != NO);
        for (name, x86_64, x86, x32) in ROWS {
            let found = find(name).unwrap_or_else(|| panic!("{name}"));
            let expected = (number(*x86_64), number(*x86), number(*x32));
            assert_eq!((found.x86_64, found.x86, found.x32), expected, "{name}");
        }
    }

    #[test]
    fn other_words_are_not() {
        for word in ["", "a", "rea", "readx", "zzzzzz", "a_name_that_is_longer_than_any_other_of_them", "\u{0}\u{0}"] {
            assert_eq!(find(word), None, "{word}");
        }
    }

    #[test]
    fn the_tables_are_small() {
        assert!(size_of_val(&TABLE) < 8 * 1024, "{}", size_of_val(&TABLE));
    }

    #[test]
    fn calls_within_calls() {
        let call = |name| find(name).and_then(|numbers| numbers.multiplexed);
        assert_eq!(call("socket"), Some((102, 1)));
        assert_eq!(call("recv"), Some((102, 10)));
        assert_eq!(call("msgctl"), Some((117, 14)));
        assert_eq!(call("recvmmsg"), Some((102, 19)));
        assert_eq!(call("read"), None);
    }
}
