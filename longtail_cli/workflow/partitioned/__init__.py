"""Commands on parts of the images: out of core on one machine, or on many.

A report, as the modules are called:

    executions      the options choose one process, or parts and where they run
    report          opens the inputs, and makes a report of their runs
      inputs        what an input in parts is: `DividedInput`, and its parts once they are `Planned`
        results     result files: listed (`shards`), found in the annotations (`locate_shards`, `guard_sample`),
                    divided by images (`division`), and their scores ordered (`kept_apart`); `whole_files` is about
                    files that cannot be read in pieces
        logits      detection logits
      runs          the runs of an input, in three steps over the parts:
        match       a part of the images: rows of matches
        reduce      a bucket of these rows: metrics of categories; then counts of false positives
                    what all categories need together is merged by `longtail_cli.evaluation.parts`

A worker gets an `ImagePart` (`image_parts`), whose loader (`result_loader`, `logits`) reads, adjusts and decodes its
detections. `memory` says how large parts are, and how many rows of a bucket are reduced at once; `digests` whether two
runs hold the same detections.

`tune` plans and matches parts in the same way for every batch of candidates; it takes samples of all detections
(`result_sample`, `logit_sample`) and runs whose method depends on the fold of an image (`cross_fitted`).
`rescore` writes a file for each part (`rescore_results`, `rescore_logits`) and matches nothing.
"""
