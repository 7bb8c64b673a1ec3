//! Traps 53 to 63: names and digests.

use super::conduct::{Asked, Scene};
use super::reply::{Reply, Step};
use super::{Asks, Trap};
use haul_span::Span;
use sha2::{Digest, Sha256};

pub(super) const TRAPS: &[Trap] = &[
    Trap::new(53, "name-climbs", "names the file `../../climbed.bin`", |asked, scene| {
        named(asked, scene, "filename=\"../../climbed.bin\"")
    })
    .saved_as("climbed.bin"),
    Trap::new(53, "name-absolute", "names the file `/tmp/absolute.bin`", |asked, scene| {
        named(asked, scene, "filename=\"/tmp/absolute.bin\"")
    })
    .saved_as("absolute.bin"),
    Trap::new(53, "name-of-windows", "names the file `C:\\windows\\drive.bin`", |asked, scene| {
        named(asked, scene, "filename=\"C:\\\\windows\\\\drive.bin\"")
    })
    .saved_as("drive.bin"),
    Trap::new(53, "name-of-nothing", "names the file `..`", |asked, scene| {
        named(asked, scene, "filename=\"..\"")
    })
    .saved_as("file.bin"),
    Trap::new(
        54,
        "name-extended",
        "names the file twice, once with escaped slashes",
        |asked, scene| {
            named(asked, scene, "filename=plain.bin; filename*=UTF-8''..%2F..%2Fna%C3%AFve.bin")
        },
    )
    .saved_as("naïve.bin"),
    Trap::new(62, "wrong-checksum", "flips a byte; the user knows the digest", flipped)
        .asks(Asks::Checksum)
        .refused(32),
    Trap::new(
        63,
        "wrong-repr-digest",
        "flips a byte of the file whose Repr-Digest it states",
        |asked, scene| flipped(asked, scene).with("Repr-Digest", whole_digest(scene)),
    )
    .refused(32)
    .size((1 << 20) + 7),
    Trap::new(
        63,
        "right-repr-digest",
        "states a right Repr-Digest, among unknown ones",
        |asked, scene| {
            let digest = format!("md5=:AAAA:, x=1, {}", whole_digest(scene));
            Reply::fair(asked, scene).with("Repr-Digest", digest)
        },
    )
    .size((1 << 20) + 7),
    Trap::new(
        63,
        "wrong-content-digest",
        "flips a byte of two parts whose Content-Digest it states",
        |asked, scene| {
            let Some(span) = asked.later_part(scene.size()).and_then(|span| span.first(256 << 10))
            else {
                return Reply::fair(asked, scene);
            };
            let reply =
                Reply::part(scene, span).with("Content-Digest", digest(&scene.payload.bytes(span)));
            if scene.memory.refuses_yet(2) { reply.sending([flip(scene, span)]) } else { reply }
        },
    )
    .rate(2 << 20)
    .size((4 << 20) + 7),
];

pub(super) fn named(asked: &Asked, scene: &Scene, parameters: &str) -> Reply {
    Reply::fair(asked, scene).with("Content-Disposition", format!("attachment; {parameters}"))
}

/// The byte in the middle of the file is not what it should be.
fn flipped(asked: &Asked, scene: &Scene) -> Reply {
    let reply = Reply::fair(asked, scene);
    let middle = scene.size() / 2;
    let Some(span) = asked.part(scene.size()).or_else(|| scene.whole()) else { return reply };
    let parts = [span.before(middle), Span::new(middle, middle + 1), span.from(middle + 1)];
    if !span.contains(middle) {
        return reply;
    }
    reply.sending(parts.into_iter().flatten().map(|part| {
        if part.start() == middle { flip(scene, part) } else { Step::File(scene.payload, part) }
    }))
}

fn flip(scene: &Scene, span: Span) -> Step {
    let mut bytes = scene.payload.bytes(span);
    bytes[0] ^= 1;
    Step::Bytes(bytes)
}

fn whole_digest(scene: &Scene) -> String {
    digest(&scene.whole().map_or_else(Vec::new, |span| scene.payload.bytes(span)))
}

fn digest(bytes: &[u8]) -> String {
    format!("sha-256=:{}:", base64(&Sha256::digest(bytes)))
}

/// With padding (RFC 4648 §4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let coded = bytes.chunks(3).flat_map(|group| {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(*group.get(at).unwrap_or(&0)));
        (0..4).map(move |place| {
            if place <= group.len() {
                char::from(ALPHABET[bits >> (18 - 6 * place) & 63])
            } else {
                '='
            }
        })
    });
    coded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_follows_the_vectors_of_rfc_4648() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
