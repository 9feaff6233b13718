//! Published decoders and encoders beside ours.

use loona_hpack::decoder::{DecoderError, IntegerDecodingError};
use mop_corpus::{Random, mutate};
use mop_wire::http2::hpack::{Decoder, HpackError};
use proptest::prelude::*;

use crate::{
    encoded::{Decoded, Line, decode, known},
    generated::{config, connections, lists},
};

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn every_choice_of_an_encoder_is_decoded(blocks in connections()) {
        let mut ours = Decoder::from_start();
        let mut httlib = httlib_hpack::Decoder::default();
        httlib.set_max_dynamic_size(u32::MAX);
        for block in blocks {
            prop_assert_eq!(decode(&mut ours, &block.bytes), Ok(known(&block.lines)));
            let mut fields = Vec::new();
            httlib.decode(&mut block.bytes.clone(), &mut fields).unwrap();
            let lines = fields.into_iter().map(|(name, value, flags)| Line {
                name,
                value,
                is_never_indexed: flags & httlib_hpack::Decoder::NEVER_INDEXED != 0,
            });
            prop_assert_eq!(lines.collect::<Vec<_>>(), block.lines);
            // A table beyond the limit is not kept as a whole.
            prop_assert!(ours.is_whole() || block.table_sizes.iter().any(|size| *size > 65_536));
        }
    }

    #[test]
    fn blocks_of_another_encoder_are_decoded(lists in lists()) {
        let mut ours = Decoder::from_start();
        let mut encoder = loona_hpack::Encoder::new();
        for list in lists {
            let block = encoder.encode(list.iter().map(|(name, value)| (&name[..], &value[..])));
            let lines: Vec<_> = list.iter().map(|(name, value)| Line::new(name, value)).collect();
            prop_assert_eq!(decode(&mut ours, &block), Ok(known(&lines)));
        }
    }

    #[test]
    fn damaged_blocks_are_decoded_as_by_another_program(
        blocks in connections(),
        seed in any::<u64>(),
    ) {
        let mut random = Random::new(seed);
        let corpus: Vec<_> = blocks.into_iter().map(|block| block.bytes).collect();
        let mut ours = Decoder::from_start();
        let mut loona = loona_hpack::Decoder::new();
        for mut block in corpus.clone() {
            for _ in 0..random.below(3) {
                mutate(&mut block, &corpus, &mut random);
            }
            match (decode(&mut ours, &block), loona.decode(&block)) {
                (Ok(fields), Ok(other)) => prop_assert_eq!(without_marks(fields), other),
                (Err(_), Err(_)) => break,
                // It lets the table change its size anywhere but at the end.
                (Err(HpackError::SizeUpdateBehindField), Ok(_))
                | (Ok(_), Err(DecoderError::SizeUpdateAtEnd)) => break,
                // Its integers have 28 bits behind the prefix.
                (
                    Ok(_),
                    Err(DecoderError::IntegerDecodingError(IntegerDecodingError::TooManyOctets)),
                ) => break,
                (ours, other) => {
                    prop_assert!(false, "{:?} {:?} {:x?}", ours, other, block);
                }
            }
        }
    }
}

fn without_marks(fields: Vec<Decoded>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let field = |field| match field {
        Decoded::Known(Line { name, value, is_never_indexed: _ }) => (name, value),
        Decoded::UnknownName { .. } | Decoded::Unknown => panic!("seen from the start"),
    };
    fields.into_iter().map(field).collect()
}
