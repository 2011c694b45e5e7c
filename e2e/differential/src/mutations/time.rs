//! The times of a token (RFC 7519 sections 2, 4.1.4 to 4.1.6), at and beside their limits.

use super::{Mutation, all};
use crate::draft::Draft;
use crate::setting::{LEEWAY, NOW};

pub(super) const ALL: &[Mutation] = &[
    all("exp absent", |draft, _| draft.claims.remove("exp")),
    all("exp null", |draft, _| draft.claims.set("exp", "null")),
    all("exp true", |draft, _| draft.claims.set("exp", "true")),
    all("exp a string", |draft, _| draft.claims.set_text("exp", &later().to_string())),
    all("exp an empty string", |draft, _| draft.claims.set_text("exp", "")),
    all("exp an array", |draft, _| draft.claims.set("exp", format!("[{}]", later()))),
    all("exp an object", |draft, _| draft.claims.set("exp", "{}")),
    all("exp with a fraction", |draft, _| draft.claims.set("exp", format!("{}.5", later()))),
    all("exp with an exponent", |draft, _| draft.claims.set("exp", "3.0000003e9")),
    all("exp with an exponent in capitals", |draft, _| draft.claims.set("exp", "30000003E+2")),
    all("exp in the year 9999", |draft, _| draft.claims.set("exp", "253402300799")),
    all("exp 10^15", |draft, _| draft.claims.set("exp", "1000000000000000")),
    all("exp below 2^63", |draft, _| draft.claims.set("exp", "9223372036854774784")),
    all("exp 2^63", |draft, _| draft.claims.set("exp", "9223372036854775808")),
    all("exp above 2^64", |draft, _| draft.claims.set("exp", "18446744073709551617")),
    all("exp 10^19 with an exponent", |draft, _| draft.claims.set("exp", "1e19")),
    all("exp 10^400 with an exponent", |draft, _| draft.claims.set("exp", "1e400")),
    all("exp 10^400 in digits", |draft, _| {
        draft.claims.set("exp", format!("1{}", "0".repeat(400)));
    }),
    all("exp above 2^64 by as much as now", |draft, _| {
        draft.claims.set("exp", (u128::from(later()) + (1 << 64)).to_string());
    }),
    all("exp with a tiny exponent", |draft, _| draft.claims.set("exp", "1e-400")),
    all("exp 0", |draft, _| draft.claims.set("exp", "0")),
    all("exp -0", |draft, _| draft.claims.set("exp", "-0")),
    all("exp -0.0", |draft, _| draft.claims.set("exp", "-0.0")),
    all("exp negative", |draft, _| draft.claims.set("exp", format!("-{}", later()))),
    all("exp -2^63", |draft, _| draft.claims.set("exp", "-9223372036854775808")),
    all("exp -10^400 with an exponent", |draft, _| draft.claims.set("exp", "-1e400")),
    all("exp past", |draft, _| draft.claims.set("exp", (NOW - 300).to_string())),
    all("exp within the leeway", |draft, _| draft.claims.set("exp", (NOW - 30).to_string())),
    all("exp a second before the leeway ends", |draft, _| {
        draft.claims.set("exp", (NOW - LEEWAY + 1).to_string());
    }),
    all("exp where the leeway ends", |draft, _| {
        draft.claims.set("exp", (NOW - LEEWAY).to_string());
    }),
    all("exp half a second before the leeway ends", |draft, _| {
        draft.claims.set("exp", format!("{}.5", NOW - LEEWAY));
    }),
    all("exp half a second after the leeway ended", |draft, _| {
        draft.claims.set("exp", format!("{}.5", NOW - LEEWAY - 1));
    }),
    all("exp a second after the leeway ended", |draft, _| {
        draft.claims.set("exp", (NOW - LEEWAY - 1).to_string());
    }),
    all("exp twice, past first", |draft, _| draft.claims.first("exp", "1")),
    all("exp twice, past last", |draft, _| draft.claims.last("exp", "1")),
    all("exp twice, past last by an escaped name", |draft, _| {
        draft.claims.last_spelt(r#""e\u0078p""#, "1");
    }),
    all("exp by an escaped name", |draft, _| draft.claims.respell("exp", r#""e\u0078p""#)),
    all("exp by a name in capitals", |draft, _| draft.claims.respell("exp", r#""EXP""#)),
    all("exp with a leading zero", |draft, _| draft.claims.set("exp", format!("0{}", later()))),
    all("exp with a plus sign", |draft, _| draft.claims.set("exp", format!("+{}", later()))),
    all("exp in hexadecimal", |draft, _| draft.claims.set("exp", "0xffffffff")),
    all("exp NaN", |draft, _| draft.claims.set("exp", "NaN")),
    all("exp Infinity", |draft, _| draft.claims.set("exp", "Infinity")),
    all("exp with a bare point", |draft, _| draft.claims.set("exp", format!("{}.", later()))),
    all("nbf past", |draft, _| draft.claims.set("nbf", (NOW - 300).to_string())),
    all("nbf null", |draft, _| draft.claims.set("nbf", "null")),
    all("nbf a string", |draft, _| draft.claims.set_text("nbf", &(NOW - 300).to_string())),
    all("nbf true", |draft, _| draft.claims.set("nbf", "true")),
    all("nbf an array", |draft, _| draft.claims.set("nbf", "[1]")),
    all("nbf with a fraction", |draft, _| draft.claims.set("nbf", format!("{}.5", NOW - 300))),
    all("nbf negative", |draft, _| draft.claims.set("nbf", "-1")),
    all("nbf -10^300", |draft, _| draft.claims.set("nbf", "-1e300")),
    all("nbf -10^400", |draft, _| draft.claims.set("nbf", "-1e400")),
    all("nbf 10^300", |draft, _| draft.claims.set("nbf", "1e300")),
    all("nbf 10^400", |draft, _| draft.claims.set("nbf", "1e400")),
    all("nbf above 2^64", |draft, _| draft.claims.set("nbf", "18446744073709551617")),
    all("nbf to come", |draft, _| draft.claims.set("nbf", (NOW + 300).to_string())),
    all("nbf within the leeway", |draft, _| draft.claims.set("nbf", (NOW + 30).to_string())),
    all("nbf where the leeway ends", |draft, _| {
        draft.claims.set("nbf", (NOW + LEEWAY).to_string());
    }),
    all("nbf half a second after the leeway ends", |draft, _| {
        draft.claims.set("nbf", format!("{}.5", NOW + LEEWAY));
    }),
    all("nbf a second after the leeway ends", |draft, _| {
        draft.claims.set("nbf", (NOW + LEEWAY + 1).to_string());
    }),
    all("nbf twice, to come last", |draft, _| twice(draft, "nbf")),
    all("iat absent", |draft, _| draft.claims.remove("iat")),
    all("iat null", |draft, _| draft.claims.set("iat", "null")),
    all("iat a string", |draft, _| draft.claims.set_text("iat", &NOW.to_string())),
    all("iat true", |draft, _| draft.claims.set("iat", "true")),
    all("iat an array", |draft, _| draft.claims.set("iat", "[1]")),
    all("iat with a fraction", |draft, _| draft.claims.set("iat", format!("{}.5", NOW - 300))),
    all("iat negative", |draft, _| draft.claims.set("iat", "-1")),
    all("iat -10^300", |draft, _| draft.claims.set("iat", "-1e300")),
    all("iat 10^400", |draft, _| draft.claims.set("iat", "1e400")),
    all("iat to come", |draft, _| draft.claims.set("iat", (NOW + 300).to_string())),
    all("iat within the leeway", |draft, _| draft.claims.set("iat", (NOW + 30).to_string())),
    all("iat where the leeway ends", |draft, _| {
        draft.claims.set("iat", (NOW + LEEWAY).to_string());
    }),
    all("iat a second after the leeway ends", |draft, _| {
        draft.claims.set("iat", (NOW + LEEWAY + 1).to_string());
    }),
    all("iat twice, to come last", |draft, _| twice(draft, "iat")),
];

const fn later() -> u64 {
    NOW + 300
}

fn twice(draft: &mut Draft<'_>, name: &str) {
    draft.claims.set(name, (NOW - 300).to_string());
    draft.claims.last(name, (NOW + 300).to_string());
}
