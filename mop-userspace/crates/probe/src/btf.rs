//! A reader of BTF, the kernel's type information: enough to find where a field is.
//!
//! Format: Documentation/bpf/btf.rst of the kernel. The reader keeps the raw bytes and an index of
//! type offsets; it trusts no length in them.

use thiserror::Error;

/// Parsed type information.
pub struct Btf {
    types: Vec<u8>,
    strings: Vec<u8>,
    /// Offset into `types` per type id; id 0 is `void` and has none.
    index: Vec<usize>,
}

/// Type information that cannot be understood.
#[derive(Debug, Error)]
pub enum BtfError {
    /// The first bytes are not those of BTF in this machine's byte order.
    #[error("not BTF")]
    NotBtf,
    /// It ends too early, or a length in it is wrong.
    #[error("damaged at byte {at}")]
    Damaged {
        /// Offset into the section.
        at: usize,
    },
    /// A type of a kind that this reader does not know.
    #[error("unknown kind of type {kind}")]
    UnknownKind {
        /// Its number.
        kind: u32,
    },
}

impl Btf {
    /// Reads the bytes of `/sys/kernel/btf/vmlinux` or of a `.BTF` section.
    ///
    /// # Errors
    ///
    /// When they are not well-formed BTF of this machine's byte order.
    pub fn parse(bytes: &[u8]) -> Result<Self, BtfError> {
        let magic = bytes.get(0..2).ok_or(BtfError::NotBtf)?;
        if magic != MAGIC.to_ne_bytes() {
            return Err(BtfError::NotBtf);
        }
        let word = |at: usize| u32_at(bytes, at).map(|value| value as usize);
        let header = word(4)?;
        let section = |offset: usize, length: usize| {
            let start = header.checked_add(offset).ok_or(BtfError::Damaged { at: header })?;
            let end = start.checked_add(length).ok_or(BtfError::Damaged { at: start })?;
            bytes.get(start..end).map(<[u8]>::to_vec).ok_or(BtfError::Damaged { at: start })
        };
        let types = section(word(8)?, word(12)?)?;
        let strings = section(word(16)?, word(20)?)?;
        let index = index_types(&types)?;
        Ok(Self { types, strings, index })
    }

    /// Offset in bytes of a field, given as a path: `["sock", "__sk_common", "skc_family"]`. Fields
    /// of anonymous structures and unions are found without naming them.
    ///
    /// `None` when there is no such structure or field, or when it is a bit field.
    #[must_use]
    pub fn field_offset(&self, path: &[&str]) -> Option<u32> {
        let (structure, fields) = path.split_first()?;
        self.index
            .iter()
            .skip(1)
            .filter_map(|&at| Type::read(&self.types, at).ok())
            .filter(|found| found.is_compound() && self.string(found.name) == structure.as_bytes())
            .find_map(|found| self.walk(&found, fields, 0))
            .and_then(|bits| (bits % 8 == 0).then_some(bits / 8))
    }

    fn walk(&self, structure: &Type, fields: &[&str], depth: u32) -> Option<u32> {
        let Some((field, rest)) = fields.split_first() else { return Some(0) };
        if depth > MAX_DEPTH {
            return None;
        }
        for member in structure.members(&self.types) {
            let inside = self.compound(member.type_id);
            if self.string(member.name) == field.as_bytes() {
                if rest.is_empty() {
                    return Some(member.bit_offset);
                }
                return Some(member.bit_offset + self.walk(&inside?, rest, depth + 1)?);
            }
            if member.name == 0
                && let Some(inside) = inside
                && let Some(bits) = self.walk(&inside, fields, depth + 1)
            {
                return Some(member.bit_offset + bits);
            }
        }
        None
    }

    /// The structure or union behind a type id, through typedefs and qualifiers.
    fn compound(&self, mut id: u32) -> Option<Type> {
        for _ in 0..MAX_DEPTH {
            let found = Type::read(&self.types, *self.index.get(id as usize)?).ok()?;
            match found.kind {
                KIND_STRUCT | KIND_UNION => return Some(found),
                KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_TYPE_TAG => {
                    id = found.size_or_type;
                }
                _ => return None,
            }
        }
        None
    }

    fn string(&self, offset: u32) -> &[u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        let end = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }
}

/// `struct btf_type`.
struct Type {
    at: usize,
    name: u32,
    kind: u32,
    count: u32,
    /// `kind_flag`: member offsets carry the size of a bit field in their upper eight bits.
    bit_fields: bool,
    size_or_type: u32,
}

struct Member {
    name: u32,
    type_id: u32,
    bit_offset: u32,
}

impl Type {
    fn read(types: &[u8], at: usize) -> Result<Self, BtfError> {
        let info = u32_at(types, at + 4)?;
        Ok(Self {
            at,
            name: u32_at(types, at)?,
            kind: (info >> 24) & 0x1f,
            count: info & 0xffff,
            bit_fields: info >> 31 == 1,
            size_or_type: u32_at(types, at + 8)?,
        })
    }

    fn is_compound(&self) -> bool {
        matches!(self.kind, KIND_STRUCT | KIND_UNION)
    }

    /// Bytes that follow the three fixed words.
    fn trailer(&self) -> Result<usize, BtfError> {
        let count = self.count as usize;
        Ok(match self.kind {
            KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
            KIND_ARRAY => 12,
            KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => 12 * count,
            KIND_ENUM | KIND_FUNC_PROTO => 8 * count,
            KIND_PTR | KIND_FWD | KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT
            | KIND_FUNC | KIND_FLOAT | KIND_TYPE_TAG => 0,
            kind => return Err(BtfError::UnknownKind { kind }),
        })
    }

    fn members<'a>(&'a self, types: &'a [u8]) -> impl Iterator<Item = Member> + 'a {
        (0..self.count as usize).map_while(move |number| {
            let at = self.at + FIXED_BYTES + 12 * number;
            let offset = u32_at(types, at + 8).ok()?;
            Some(Member {
                name: u32_at(types, at).ok()?,
                type_id: u32_at(types, at + 4).ok()?,
                bit_offset: if self.bit_fields { offset & 0xff_ffff } else { offset },
            })
        })
    }
}

fn index_types(types: &[u8]) -> Result<Vec<usize>, BtfError> {
    let mut index = vec![0];
    let mut at = 0;
    while at < types.len() {
        index.push(at);
        at += FIXED_BYTES + Type::read(types, at)?.trailer()?;
    }
    Ok(index)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    bytes
        .get(at..at.saturating_add(4))
        .and_then(|four| four.try_into().ok())
        .map(u32::from_ne_bytes)
        .ok_or(BtfError::Damaged { at })
}

const MAGIC: u16 = 0xeb9f;
const FIXED_BYTES: usize = 12;

/// Nesting of anonymous members and chains of typedefs in the kernel stay below ten.
const MAX_DEPTH: u32 = 32;

const KIND_INT: u32 = 1;
const KIND_PTR: u32 = 2;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_FWD: u32 = 7;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_FLOAT: u32 = 16;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct inner { int b; }; struct outer { int a; union { struct inner c; }; };`
    fn sample() -> Vec<u8> {
        let strings = b"\0int\0inner\0b\0outer\0a\0c\0";
        let mut types = Vec::new();
        let mut push = |words: &[u32]| {
            for word in words {
                types.extend(word.to_ne_bytes());
            }
        };
        push(&[1, KIND_INT << 24, 4, 0]); // 1: int
        push(&[5, KIND_STRUCT << 24 | 1, 4, 11, 1, 0]); // 2: struct inner { b }
        push(&[0, KIND_UNION << 24 | 1, 4, 21, 2, 0]); // 3: union { struct inner c }
        push(&[13, KIND_STRUCT << 24 | 2, 8, 19, 1, 0, 0, 3, 32]); // 4: struct outer
        let mut bytes = Vec::new();
        bytes.extend(MAGIC.to_ne_bytes());
        bytes.extend([1, 0]);
        for word in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(&types);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn fields_are_found_through_anonymous_members() {
        let btf = Btf::parse(&sample()).expect("well-formed");
        assert_eq!(btf.field_offset(&["outer", "a"]), Some(0));
        assert_eq!(btf.field_offset(&["outer", "c"]), Some(4));
        assert_eq!(btf.field_offset(&["outer", "c", "b"]), Some(4));
        assert_eq!(btf.field_offset(&["outer", "d"]), None);
        assert_eq!(btf.field_offset(&["nothing", "a"]), None);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let good = sample();
        for cut in 0..good.len() {
            let _ = Btf::parse(&good[..cut]).map(|btf| btf.field_offset(&["outer", "c", "b"]));
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0xff;
            let _ = Btf::parse(&bad).map(|btf| btf.field_offset(&["outer", "c", "b"]));
        }
    }

    #[test]
    fn the_running_kernel_has_every_field() {
        let Ok(bytes) = std::fs::read("/sys/kernel/btf/vmlinux") else {
            eprintln!("SKIPPED: this kernel offers no type information");
            return;
        };
        let btf = Btf::parse(&bytes).expect("well-formed");
        assert!(crate::resolve_offsets(&btf).is_ok());
    }
}
