/* runs.h: small training runs in a temporary folder, for tests that compare them.
 *
 * The test sets `backend`, then a cmocka group runs between setup and teardown, which also sees that
 * nothing leaked. The tiny recipe takes STEPS steps on synthetic pictures of SIDE x SIDE.
 */
#ifndef EBB_TEST_RUNS_H
#define EBB_TEST_RUNS_H

#include "support/temporary.h"
#include "train/trainer.h"

enum { STEPS = 12, SIDE = 8 };

extern temporary_folder folder;
extern ebb_context *contexts[5];         /* by threads */
extern ebb_context *ctx;                 /* of two threads */
extern const char *backend;              /* "own" or "onednn" */
extern const char *precision;            /* of the tiny recipe: "precision=f32", or bf16, or auto */

int setup(void **state);
int teardown(void **state);

/* Fail the test with the context's message. */
void assert_says(const ebb_context *c, const char *part);
void ok(const ebb_context *c, ebb_status status);

ebb_recipe *tiny(ebb_context *c);
/* "folder/name", in one of four buffers in turn. */
char *in_folder(const char *name);
void run_steps(ebb_context *c, ebb_trainer *t, int64_t until);
/* Trains the tiny recipe to its end in folder/name. "reference" is what others compare with. */
void train(ebb_context *c, const char *name);
void assert_same_file(const char *run_a, const char *run_b, const char *name);
void remove_run(const char *name);
ebb_model *reference_model(ebb_context *c);

#endif
