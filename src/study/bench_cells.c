/* bench_cells.c: measures cells one after the other and keeps each as soon as it is done (bench.h).
 *
 * A cell lies in DIR/cells/KEY.json, its picture in KEY.png. The key is of the cell and of everything that its measurement depends
 * on, time included: the subject, samples, seed, threads, kernels and version. So a run that was cut goes on with the next cell,
 * and a setting that changed has other cells.
 */
#include <stdio.h>
#include <string.h>

#include "study/bench.h"
#include "train/dist.h"

/* All that the measurement depends on, in words. */
static void describe(const ebb_bench_job *b, const ebb_bench_cell *c, char text[1024])
{
    snprintf(text, 1024, "%s %016llx %s %s %s steps %d guidance %.17g samples %lld seed %llu resamples %d threads %d %s %s", EBB_VERSION,
             (unsigned long long)b->subject.identity, ebb_bench_role_name(c->role), c->sampler, c->grid, c->steps, c->guidance,
             (long long)b->o.n, (unsigned long long)b->o.seed, b->o.resamples, b->ctx->threads, ebb_isa_name(b->ctx->isa),
             ebb_backend_choice_name(b->ctx));
}

static ebb_status paths_of(const ebb_bench_job *b, const char *of, char key[24], char json[EBB_BENCH_PATH], char picture[EBB_BENCH_PATH])
{
    char name[40];
    snprintf(key, 24, "%016llx", (unsigned long long)ebb_hash(0, of, strlen(of)));
    snprintf(name, sizeof name, "cells/%s.json", key);
    EBB_TRY(ebb_bench_path(b, name, json));
    snprintf(name, sizeof name, "cells/%s.png", key);
    return ebb_bench_path(b, name, picture);
}

/* What lies there, if it is of this cell; a damaged file is as none. The budget is no part of what was measured. */
static void find_kept(ebb_bench_job *b, ebb_bench_cell *c, const char *of, const char *path)
{
    json_t *kept = NULL;
    if (!ebb_file_exists(path) || ebb_json_read(b->ctx, path, &kept) != EBB_OK)
        return;
    const char *was = json_string_value(json_object_get(kept, "of"));
    if (was != NULL && strcmp(was, of) == 0 && json_is_object(json_object_get(kept, "metrics"))) {
        json_object_set_new(kept, "budget", json_integer(c->budget));
        json_object_set_new(kept, "kept", json_true());
        c->found = kept;
    } else {
        json_decref(kept);
    }
}

static json_t *head(const ebb_bench_cell *c, const char *key)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:f, s:i, s:i}", "key", key, "role", ebb_bench_role_name(c->role), "sampler", c->sampler, "grid",
                     c->grid, "guidance", c->guidance, "budget", c->budget, "steps", c->steps);
}

/* Why it was refused is a finding, too, but nothing that has to be kept. */
static bool refuses(const ebb_bench_job *b, ebb_status status)
{
    return !b->stopped && (status == EBB_E_ARGUMENT || status == EBB_E_USAGE || status == EBB_E_NUMERIC || status == EBB_E_UNSUPPORTED);
}

static ebb_status measure(ebb_bench_job *b, ebb_bench_cell *c)
{
    char of[1024], key[24], path[EBB_BENCH_PATH], picture[EBB_BENCH_PATH], shown[40];
    describe(b, c, of);
    EBB_TRY(paths_of(b, of, key, path, picture));
    json_t *found = head(c, key);
    ebb_status status = b->subject.measure(b, c, picture, found);
    if (status != EBB_OK && refuses(b, status)) {
        snprintf(c->refused, sizeof c->refused, "%s", ebb_message(b->ctx));
        json_decref(found);
        return EBB_OK;
    }
    if (status == EBB_OK && ebb_file_exists(picture)) {
        snprintf(shown, sizeof shown, "cells/%s.png", key);
        json_object_set_new(found, "picture", json_string(shown));
    }
    json_object_set_new(found, "of", json_string(of));
    if (status == EBB_OK)
        status = ebb_json_write(b->ctx, path, found);
    json_object_set_new(found, "kept", json_false());
    c->found = found;
    return status;
}

static ebb_status read_kept(ebb_bench_job *b)
{
    char of[1024], key[24], path[EBB_BENCH_PATH], picture[EBB_BENCH_PATH];
    for (int32_t i = 0; i < b->cells.count; i++) {
        ebb_bench_cell *c = &b->cells.cell[i];
        if (c->refused[0] != 0)
            continue;
        describe(b, c, of);
        EBB_TRY(paths_of(b, of, key, path, picture));
        find_kept(b, c, of, path);
        b->work += c->found == NULL ? c->cost : 0;
    }
    return EBB_OK;
}

ebb_status ebb_bench_measure(ebb_bench_job *b)
{
    char folder[EBB_BENCH_PATH];
    EBB_TRY(ebb_bench_path(b, "cells", folder));
    EBB_TRY(ebb_directory_make(b->ctx, folder));
    EBB_TRY(read_kept(b));
    for (b->index = 0; b->index < b->cells.count; b->index++) {
        ebb_bench_cell *c = &b->cells.cell[b->index];
        if (c->found != NULL || c->refused[0] != 0)
            continue;
        EBB_TRY(measure(b, c));
        b->worked += c->cost;
    }
    return EBB_OK;
}
