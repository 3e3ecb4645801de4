//! The expected values that stand beside the golden folders.

use serde_json::{Map, Value as Json, json};

/// An element's columns by path.
pub(super) fn expected_columns(element: &Json) -> Map<String, Json> {
    let mut out = Map::new();
    flatten(None, element, &mut out);
    out
}

fn flatten(path: Option<&str>, value: &Json, out: &mut Map<String, Json>) {
    let join = |name: &str| path.map_or_else(|| name.to_owned(), |path| format!("{path}/{name}"));
    let members: Vec<(String, Json)> = match value["kind"].as_str().unwrap() {
        "none" | "python" => return,
        _ if members(value).is_some() => members(value).unwrap(),
        _ => {
            out.insert(path.unwrap_or("value").to_owned(), canonical(value));
            return;
        }
    };
    members.iter().for_each(|(name, member)| flatten(Some(&join(name)), member, out));
}

/// The parts of a structure, named as they are in the element spec.
fn members(value: &Json) -> Option<Vec<(String, Json)>> {
    let pairs = |items: &Json| -> Vec<(String, Json)> {
        let items = items.as_array().unwrap().iter();
        items.map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].clone())).collect()
    };
    let i64s = |values: &Json| json!({"kind": "vector", "values": values});
    let expanded = |member: &Json| match member["kind"].as_str().unwrap() {
        "ragged" => json!({"kind": "namedtuple", "items": [
            ["flat_values", member["flat_values"]],
            ["nested_row_splits", {"kind": "tuple", "items":
                member["nested_row_splits"].as_array().unwrap().iter().map(i64s).collect::<Json>()}],
        ]}),
        "sparse" => json!({"kind": "namedtuple", "items": [
            ["indices", member["indices"]], ["values", member["values"]],
            ["dense_shape", i64s(&member["dense_shape"])],
        ]}),
        _ => member.clone(),
    };
    Some(match value["kind"].as_str().unwrap() {
        "dict" => {
            let mut items: Vec<_> =
                value["items"].as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            items.sort_by(|a, b| a.0.cmp(&b.0));
            items
        }
        "tuple" | "list" => value["items"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
            .map(|(i, v)| (i.to_string(), v.clone()))
            .collect(),
        "namedtuple" => pairs(&value["items"]),
        "extension" => {
            pairs(&value["items"]).into_iter().map(|(name, member)| (name, expanded(&member))).collect()
        }
        "indexed_slices" => ["values", "indices", "dense_shape"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), value.get(name)?.clone())))
            .collect(),
        "row_partition" => vec![("row_splits".to_owned(), i64s(&value["row_splits"]))],
        _ => return None,
    })
}

fn canonical(value: &Json) -> Json {
    let int = |v: &Json| json!(hex(&v.as_i64().unwrap().to_le_bytes()));
    match value["kind"].as_str().unwrap() {
        "tensor" => nest(&values(value), &dims(&value["shape"])),
        "vector" => value["values"].as_array().unwrap().iter().map(int).collect(),
        "sparse" => {
            let indices = values(&value["indices"]);
            let numbers: Vec<i64> = indices
                .iter()
                .map(|v| i64::from_le_bytes(unhex(v.as_str().unwrap()).try_into().unwrap()))
                .collect();
            let rank = value["indices"]["shape"][1].as_u64().unwrap() as usize;
            json!({
                "indices": numbers.chunks(rank).map(|c| json!(c)).collect::<Json>(),
                "values": values(&value["values"]),
                "dense_shape": value["dense_shape"],
            })
        }
        "ragged" => {
            let flat = &value["flat_values"];
            let Json::Array(mut items) = nest(&values(flat), &dims(&flat["shape"])) else { panic!() };
            for splits in value["nested_row_splits"].as_array().unwrap().iter().rev() {
                let splits: Vec<usize> = serde_json::from_value(splits.clone()).unwrap();
                items = splits.windows(2).map(|w| json!(items[w[0]..w[1]])).collect();
            }
            Json::Array(items)
        }
        "optional" if value["value"].is_null() || value["value"]["kind"] == "none" => Json::Null,
        "optional" => member_of_optional(&value["value"]),
        other => panic!("{other}"),
    }
}

fn member_of_optional(value: &Json) -> Json {
    match members(value) {
        Some(members) => Json::Object(
            members.into_iter().map(|(name, member)| (name, member_of_optional(&member))).collect(),
        ),
        None => canonical(value),
    }
}

fn dims(shape: &Json) -> Vec<usize> {
    serde_json::from_value(shape.clone()).unwrap()
}

fn nest(values: &[Json], dims: &[usize]) -> Json {
    let Some((first, rest)) = dims.split_first() else { return values[0].clone() };
    let width: usize = rest.iter().product();
    (0..*first).map(|i| nest(&values[i * width..(i + 1) * width], rest)).collect()
}

/// The values of a tensor as they are stored in Arrow: narrow floats widened, the signs of narrow
/// integers extended.
fn values(tensor: &Json) -> Vec<Json> {
    let dtype = tensor["dtype"].as_str().unwrap();
    if dtype == "string" {
        return tensor["values_hex"].as_array().unwrap().clone();
    }
    let count: usize = dims(&tensor["shape"]).iter().product();
    let Some(text) = tensor["hex"].as_str() else {
        // Large ones are given by their digest; only their zeros are used.
        panic!("digest of {count} values");
    };
    let bytes = unhex(text);
    if count == 0 {
        return Vec::new();
    }
    let items = bytes.chunks(bytes.len() / count);
    let table = crate::tf::dtype::DType::from_name(dtype).and_then(crate::tf::widen::table);
    items
        .map(|item| match (dtype, &table) {
            ("bfloat16", _) => json!(format!("0000{}", hex(item))),
            (_, Some(table)) => json!(hex(&table[usize::from(item[0])].to_le_bytes())),
            ("complex64" | "complex128", _) => {
                let (re, im) = item.split_at(item.len() / 2);
                json!([hex(re), hex(im)])
            }
            ("int4", _) => json!(hex(&[(item[0] << 4).cast_signed().wrapping_shr(4).cast_unsigned()])),
            ("int2", _) => json!(hex(&[(item[0] << 6).cast_signed().wrapping_shr(6).cast_unsigned()])),
            _ => json!(hex(item)),
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// SHA-256 (FIPS 180-4), for the values that are given by their digest.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let root = |n: u32, power: f64| (f64::from(n).powf(power).fract() * 4_294_967_296.0) as u32;
    let primes: Vec<u32> = (2u32..400).filter(|n| (2..*n).all(|d| n % d != 0)).take(64).collect();
    let mut hash: Vec<u32> = primes[..8].iter().map(|p| root(*p, 0.5)).collect();
    let k: Vec<u32> = primes.iter().map(|p| root(*p, 1.0 / 3.0)).collect();
    let mut message = bytes.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend((bytes.len() as u64 * 8).to_be_bytes());
    for chunk in message.chunks(64) {
        let mut w: Vec<u32> = chunk.chunks(4).map(|c| u32::from_be_bytes(c.try_into().unwrap())).collect();
        for i in 16..64 {
            let s0 = w[i - 15].rotate_right(7) ^ w[i - 15].rotate_right(18) ^ (w[i - 15] >> 3);
            let s1 = w[i - 2].rotate_right(17) ^ w[i - 2].rotate_right(19) ^ (w[i - 2] >> 10);
            w.push(w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]).wrapping_add(s1));
        }
        let mut v = hash.clone();
        for i in 0..64 {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let ch = (v[4] & v[5]) ^ (!v[4] & v[6]);
            let t1 = v[7].wrapping_add(s1).wrapping_add(ch).wrapping_add(k[i]).wrapping_add(w[i]);
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let maj = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            let t2 = s0.wrapping_add(maj);
            v = vec![t1.wrapping_add(t2), v[0], v[1], v[2], v[3].wrapping_add(t1), v[4], v[5], v[6]];
        }
        hash.iter_mut().zip(v).for_each(|(h, v)| *h = h.wrapping_add(v));
    }
    hash.iter().map(|word| format!("{word:08x}")).collect()
}
