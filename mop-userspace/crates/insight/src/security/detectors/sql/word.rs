//! Words of SQL and of its dialects.

use super::token::{
    Kind::{self, *},
    word_length,
};

/// What a word is; a name if it is none of SQL.
pub(super) fn kind(word: &[u8]) -> Kind {
    let Some(first) = word.first() else { return Name };
    if !starts_like_one(word) {
        return Name;
    }
    let words: &[(&[u8], Kind)] = match first.to_ascii_lowercase() {
        b'a' => A,
        b'b' => B,
        b'c' => C,
        b'd' => D,
        b'e' => E,
        b'f' => F,
        b'g' => G,
        b'h' => H,
        b'i' => I,
        b'j' => J,
        b'k'..=b'l' => L,
        b'm' => M,
        b'n' => N,
        b'o' => O,
        b'p' => P,
        b'q'..=b'r' => R,
        b's' => S,
        b't' => T,
        b'u' => U,
        b'v' => V,
        b'w' => W,
        b'x' => X,
        _ => return Name,
    };
    let is = |known: &[u8]| known.len() == word.len() && known.eq_ignore_ascii_case(word);
    words.iter().find(|(known, _)| is(known)).map_or(Name, |(_, kind)| *kind)
}

/// Whether there is a word without which nothing but what follows a number or a quote is an attack.
pub(super) fn has_any(bytes: &[u8], is_quoted: bool, has_variable: bool) -> bool {
    let mut is_inside = false;
    let mut ahead = bytes;
    while let [byte, after @ ..] = ahead {
        let is_of_word = byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$');
        if is_of_word && !is_inside && starts_like_one(ahead) {
            let (word, rest) = ahead.split_at_checked(word_length(ahead)).unwrap_or((ahead, &[]));
            let tells = match kind(word) {
                Alter | Case | Create | Declare | Delete | Drop | Exec | Group | Having
                | Insert | Limit | Logic | Object | Order | Outfile | Select | Shutdown
                | Strong | StrongWord | System | Truncate | Union | Update | Waitfor => true,
                Function | Sleep => rest.first() == Some(&b'('),
                From => is_quoted,
                Set => has_variable,
                _ => false,
            };
            if tells {
                return true;
            }
        }
        is_inside = is_of_word;
        ahead = after;
    }
    false
}

/// Whether the word at the start is true, false or null.
pub(super) fn is_truth(bytes: &[u8]) -> bool {
    let (word, _) = bytes.split_at_checked(word_length(bytes)).unwrap_or((bytes, &[]));
    kind(word) == Null
}

/// Whether a word of SQL begins with the same letters.
fn starts_like_one(word: &[u8]) -> bool {
    let (slot, bit) = place(word);
    STARTS.get(slot).is_some_and(|bits| bits >> bit & 1 == 1)
}

/// Where the bit of the first three letters is, whatever their case.
const fn place(word: &[u8]) -> (usize, u32) {
    let (first, second, third) = match word {
        [first, second, third, ..] if third.is_ascii_alphabetic() => (*first, *second, *third),
        [first, second, ..] => (*first, *second, 0),
        _ => return (0, 0),
    };
    let slot = ((first & 31) as usize) << 4 | ((second & 30) as usize) >> 1;
    (slot, ((second & 1) as u32) << 5 | (third & 31) as u32)
}

/// A bit for each start that some word has.
static STARTS: [u64; 512] = {
    let all = [A, B, C, D, E, F, G, H, I, J, L, M, N, O, P, R, S, T, U, V, W, X];
    let mut starts = [0; 512];
    let mut letter = 0;
    while letter < all.len() {
        #[expect(clippy::indexing_slicing, reason = "at compile time")]
        {
            let words = all[letter];
            let mut word = 0;
            while word < words.len() {
                let (slot, bit) = place(words[word].0);
                starts[slot] |= 1 << bit;
                word += 1;
            }
        }
        letter += 1;
    }
    starts
};

const A: &[(&[u8], Kind)] = &[
    (b"and", Logic),
    (b"all", All),
    (b"alter", Alter),
    (b"ascii", Function),
    (b"abs", Function),
    (b"avg", Function),
    (b"array_agg", Function),
    (b"admin", Schema),
    (b"all_tables", System),
    (b"all_users", System),
    (b"all_tab_columns", System),
];
const B: &[(&[u8], Kind)] = &[
    (b"by", By),
    (b"between", WordComparator),
    (b"benchmark", StrongWord),
    (b"bin", Function),
    (b"bit_length", Function),
];
const C: &[(&[u8], Kind)] = &[
    (b"case", Case),
    (b"create", Create),
    (b"cast", Function),
    (b"convert", Function),
    (b"concat", Function),
    (b"concat_ws", Function),
    (b"char", Function),
    (b"chr", Function),
    (b"char_length", Function),
    (b"coalesce", Function),
    (b"count", Function),
    (b"column_name", Schema),
    (b"current_user", Schema),
    (b"current_database", Strong),
    (b"ctxsys", System),
    (b"crypt", Function),
    (b"cot", Function),
    (b"compress", Function),
];
const D: &[(&[u8], Kind)] = &[
    (b"drop", Drop),
    (b"delete", Delete),
    (b"declare", Declare),
    (b"distinct", All),
    (b"database", Object),
    (b"div", Arithmetic),
    (b"dual", Schema),
    (b"dumpfile", Outfile),
    (b"dbms_pipe", System),
    (b"dbms_lock", System),
    (b"dbms_xmlgen", System),
    (b"dbms_ldap", System),
    (b"dbms_xmlquery", System),
    (b"dbms_assert", System),
    (b"dba_users", System),
    (b"database_to_xml", Strong),
    (b"dblink_connect", Strong),
    (b"db_name", Strong),
];
const E: &[(&[u8], Kind)] = &[
    (b"exists", Function),
    (b"except", Union),
    (b"exec", Exec),
    (b"execute", Exec),
    (b"exp", Function),
    (b"elt", Function),
    (b"extractvalue", Strong),
];
const F: &[(&[u8], Kind)] = &[(b"from", From), (b"false", Null), (b"floor", Function)];
const G: &[(&[u8], Kind)] = &[
    (b"group", Group),
    (b"glob", WordComparator),
    (b"group_concat", Strong),
    (b"gtid_subset", Strong),
    (b"gtid_subtract", Strong),
    (b"geometrycollection", Strong),
    (b"generate_series", Strong),
    (b"greatest", Function),
];
const H: &[(&[u8], Kind)] = &[
    (b"having", Having),
    (b"hex", Function),
    (b"hashbytes", Strong),
    (b"host_name", Strong),
    (b"has_dbaccess", Strong),
];
const I: &[(&[u8], Kind)] = &[
    (b"in", WordComparator),
    (b"is", WordComparator),
    (b"ilike", WordComparator),
    (b"insert", Insert),
    (b"into", Into),
    (b"intersect", Union),
    (b"index", Object),
    (b"if", Function),
    (b"iif", Function),
    (b"ifnull", Function),
    (b"isnull", Function),
    (b"instr", Function),
    (b"information_schema", System),
    (b"is_srvrolemember", Strong),
    (b"innodb_table_stats", System),
];
const J: &[(&[u8], Kind)] = &[
    (b"json_extract", Function),
    (b"json_keys", Function),
    (b"json_length", Function),
    (b"json_depth", Function),
    (b"json_value", Function),
    (b"json_contains", Function),
    (b"jsonb_path_exists", Function),
];
const L: &[(&[u8], Kind)] = &[
    (b"like", WordComparator),
    (b"limit", Limit),
    (b"login", Object),
    (b"left", Function),
    (b"length", Function),
    (b"len", Function),
    (b"lower", Function),
    (b"lpad", Function),
    (b"least", Function),
    (b"load_file", Strong),
    (b"load_extension", Strong),
    (b"lo_import", Strong),
    (b"lo_export", Strong),
    (b"last_insert_id", Strong),
];
const M: &[(&[u8], Kind)] = &[
    (b"minus", Union),
    (b"mod", Arithmetic),
    (b"mid", Function),
    (b"max", Function),
    (b"min", Function),
    (b"md5", Function),
    (b"make_set", Function),
    (b"members", Schema),
    (b"msysobjects", System),
    (b"multipoint", Strong),
    (b"multilinestring", Strong),
    (b"multipolygon", Strong),
];
const N: &[(&[u8], Kind)] = &[
    (b"not", Not),
    (b"null", Null),
    (b"name_const", Strong),
    (b"nvl", Function),
    (b"nullif", Function),
];
const O: &[(&[u8], Kind)] = &[
    (b"or", Logic),
    (b"order", Order),
    (b"offset", Limit),
    (b"outfile", Outfile),
    (b"ord", Function),
    (b"openrowset", Strong),
    (b"opendatasource", Strong),
    (b"openquery", Strong),
    (b"ora_hash", Strong),
];
const P: &[(&[u8], Kind)] = &[
    (b"procedure", Object),
    (b"password", Schema),
    (b"passwd", Schema),
    (b"pg_sleep", Strong),
    (b"pg_read_file", Strong),
    (b"pg_ls_dir", Strong),
    (b"pg_catalog", System),
    (b"pg_database", System),
    (b"pg_shadow", System),
    (b"pg_tables", System),
    (b"pg_user", System),
    (b"pg_class", System),
    (b"polygon", StrongWord),
    (b"power", Function),
    (b"position", Function),
];
const R: &[(&[u8], Kind)] = &[
    (b"rlike", WordComparator),
    (b"regexp", WordComparator),
    (b"role", Object),
    (b"rand", Function),
    (b"right", Function),
    (b"replace", Function),
    (b"reverse", Function),
    (b"rpad", Function),
    (b"repeat", Function),
    (b"row_count", Strong),
    (b"randomblob", Strong),
    (b"query_to_xml", Strong),
];
const S: &[(&[u8], Kind)] = &[
    (b"select", Select),
    (b"set", Set),
    (b"shutdown", Shutdown),
    (b"schema", Object),
    (b"sleep", Sleep),
    (b"substr", Function),
    (b"substring", Function),
    (b"strcmp", Function),
    (b"sum", Function),
    (b"sha1", Function),
    (b"system_user", Schema),
    (b"session_user", Schema),
    (b"schema_name", Schema),
    (b"sqlite_master", System),
    (b"sqlite_schema", System),
    (b"sqlite_version", Strong),
    (b"sysobjects", System),
    (b"syscolumns", System),
    (b"sysdatabases", System),
    (b"syslogins", System),
    (b"sysusers", System),
    (b"sp_executesql", System),
    (b"sp_oacreate", System),
    (b"sp_configure", System),
    (b"sp_addlogin", System),
    (b"sp_addextendedproc", System),
    (b"sp_makewebtask", System),
    (b"sp_password", System),
    (b"st_latfromgeohash", Strong),
];
const T: &[(&[u8], Kind)] = &[
    (b"then", Then),
    (b"table", Object),
    (b"trigger", Object),
    (b"true", Null),
    (b"truncate", Truncate),
    (b"top", All),
    (b"table_name", Schema),
    (b"to_char", Function),
    (b"to_number", Function),
    (b"trim", Function),
];
const U: &[(&[u8], Kind)] = &[
    (b"union", Union),
    (b"update", Update),
    (b"user", Object),
    (b"users", Schema),
    (b"username", Schema),
    (b"upper", Function),
    (b"unhex", Function),
    (b"unicode", Function),
    (b"updatexml", Strong),
    (b"user_tables", System),
    (b"user_name", Schema),
    (b"utl_http", System),
    (b"utl_inaddr", System),
    (b"utl_file", System),
];
const V: &[(&[u8], Kind)] = &[
    (b"values", Values),
    (b"view", Object),
    (b"v$version", System),
    (b"v$session", System),
    (b"version", Function),
];
const W: &[(&[u8], Kind)] = &[(b"where", Where), (b"when", When), (b"waitfor", Waitfor)];
const X: &[(&[u8], Kind)] = &[
    (b"xor", Logic),
    (b"xmltype", Strong),
    (b"xp_cmdshell", System),
    (b"xp_dirtree", System),
    (b"xp_regread", System),
    (b"xp_fileexist", System),
    (b"xp_subdirs", System),
    (b"xmlelement", Strong),
];
