//! The document reader: any bytes become objects or diagnostics, and a stream with one more document
//! holds one object more. What is read without the parser is what the parser reads.
#![cfg_attr(fuzzing, no_main)]

use mesh_model::manifest::{Limits, read};

mesh_fuzz::target!(|bytes| {
    // Small limits, so that small inputs reach them.
    let limits = Limits {
        object_bytes: 512,
        list_bytes: 4_096,
        scalar_bytes: 64,
        values: 100,
        aliases: 8,
        depth: 8,
        diagnostics: 16,
    };
    let reading = read("fuzz", bytes, &limits);
    assert_eq!(reading.diagnostics.len(), reading.unreadable.len().min(limits.diagnostics + 1));

    let longer = read("fuzz", &[bytes, b"\n...\n---\nlast: 1\n"].concat(), &limits);
    assert_eq!(longer.documents.len(), reading.documents.len() + 1);
    assert_eq!(longer.documents.last().map(|last| last.node.entries().len()), Some(1));

    // A letter that is none of ASCII leaves a document to the parser. What is no text is nobody's, and what it was
    // meant to be is guessed with that letter in view.
    if std::str::from_utf8(bytes).is_ok() {
        let beside = |comment: &str| {
            let reading = read("fuzz", &[comment.as_bytes(), bytes].concat(), &limits);
            (reading.documents, reading.diagnostics)
        };
        assert_eq!(beside("# ee\n"), beside("# é\n"));
    }
});
