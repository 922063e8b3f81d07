/* diffusers_write.c: a model as a pipeline of diffusers: what diffusers_net.c and diffusers_scheduler.c read, the other way.
 *
 * UNet2DModel is DDPM's U-Net with some keys (net.kind=unet, levels by convolutions), and with Skip blocks one form of NCSN++.
 * What it has no word for is refused by the key of the recipe. Its class table has no row that means "no class": that row is
 * written as a class more, and a key of ebb's own, which diffusers passes over, says so.
 */
#include <stdio.h>
#include <string.h>

#include "model/convert.h"

typedef struct write_job {
    ebb_context *ctx;
    const ebb_model *m;
    const ebb_recipe *r;
    const ebb_unet_config *c;
    bool skip;                   /* blocks of NCSN++ */
    json_t *notes;
} write_job;

static ebb_status no_word(const write_job *j, const char *key, const char *value)
{
    return ebb_fail(j->ctx, EBB_E_UNSUPPORTED, "%s=%s: diffusers' UNet2DModel and its schedulers have no word for it", key, value);
}

static bool is(const char *value, const char *word)
{
    return strcmp(value, word) == 0;
}

static int64_t width_of(const ebb_unet_config *c, int level)
{
    return c->width[level] > 0 ? c->width[level] : (int64_t)c->base * c->mult[level];
}

/* ---- whether it can be said ------------------------------------------------------------------------------------------------- */

static ebb_status check_net(write_job *j)
{
    const ebb_recipe *r = j->r;
    const ebb_unet_config *c = j->c;
    if (!is(r->net_kind, "unet") && !is(r->net_kind, "ncsnpp"))
        return no_word(j, "net.kind", r->net_kind);
    j->skip = c->resample == EBB_RESAMPLE_FIR;
    if (c->resample == EBB_RESAMPLE_MEAN)
        return no_word(j, "net.resample", "mean");
    if (c->fourier > 0)
        return no_word(j, "net.embedding", "fourier");
    if (c->rescale != j->skip)
        return no_word(j, "net.skip_rescale", c->rescale ? "yes" : "no");
    if (c->attention_once != j->skip)
        return no_word(j, "net.attention_up", c->attention_once ? "once" : "each");
    if (c->pyramid != (j->skip ? EBB_PYRAMID_SKIP : EBB_PYRAMID_NONE) || c->pyramid_concat)
        return no_word(j, "net.progressive_input", c->pyramid_concat ? "input-skip, beside" : r->net_progressive_input);
    if (c->output != (j->skip ? EBB_PYRAMID_SKIP : EBB_PYRAMID_NONE))
        return no_word(j, "net.progressive_output", r->net_progressive_output);
    if (c->groups_of_four != j->skip || (j->skip && c->groups != 32))
        return no_word(j, "net.groups", "of another rule");
    if (width_of(c, 0) != c->base)
        return no_word(j, "net.mult", "of which the first is not 1");
    if (j->skip && c->channels != 3)
        return no_word(j, "data.channels", "not 3, with Skip blocks");
    return EBB_OK;
}

static ebb_status check_process(const write_job *j)
{
    const ebb_recipe *r = j->r;
    if (!is(r->process_kind, "ddpm"))
        return no_word(j, "process.kind", r->process_kind);
    if (is(r->process_schedule, "sigmoid"))
        return no_word(j, "process.schedule", r->process_schedule);
    if (is(r->process_schedule, "cosine") && (r->process_cosine_s != 0.008 || r->process_beta_clip != 0.999))
        return no_word(j, "process.cosine_s", "or beta_clip, other than 0.008 and 0.999");
    if (!is(r->process_prediction, "epsilon") && !is(r->process_prediction, "x0") && !is(r->process_prediction, "v"))
        return no_word(j, "process.prediction", r->process_prediction);
    return EBB_OK;
}

/* ---- unet/config.json ---------------------------------------------------------------------------------------------------------- */

static json_t *block_types(const write_job *j, bool back)
{
    json_t *list = json_array();
    for (int i = 0; i < j->c->levels; i++) {
        int level = back ? j->c->levels - 1 - i : i;
        bool attends = back && j->c->other_back ? j->c->attention_back[level] : j->c->attention[level];
        char name[40];
        snprintf(name, sizeof name, "%s%s%sBlock2D", attends ? "Attn" : "", j->skip ? "Skip" : "", back ? "Up" : "Down");
        json_array_append_new(list, json_string(name));
    }
    return list;
}

static json_t *whole_or_null(int64_t value)
{
    return value > 0 ? json_integer(value) : json_null();
}

static void set_middle(const write_job *j, json_t *c)
{
    const ebb_unet_config *u = j->c;
    double usual = j->skip ? 1.4142135623730951 : 1;
    int own = u->middle_groups;
    json_object_set_new(c, "mid_block_type", u->middle == EBB_MIDDLE_NONE ? json_null() : json_string("UNetMidBlock2D"));
    json_object_set_new(c, "add_attention", json_boolean(u->middle != EBB_MIDDLE_PLAIN));
    json_object_set_new(c, "mid_block_scale_factor", json_real(j->r->net_middle_scale > 0 ? j->r->net_middle_scale : usual));
    json_object_set_new(c, "resnet_time_scale_shift", json_string(u->scale_shift ? "scale_shift" : "default"));
    /* With scales, a missing key means no norm. */
    if (own == 0 && u->scale_shift)
        own = j->skip ? 32 : u->groups;
    json_object_set_new(c, "attn_norm_num_groups", whole_or_null(own));
}

static void set_told(const write_job *j, json_t *c)
{
    const ebb_unet_config *u = j->c;
    json_object_set_new(c, "time_embedding_type", json_string("positional"));
    json_object_set_new(c, "time_embedding_dim", whole_or_null(u->time_width));
    json_object_set_new(c, "flip_sin_to_cos", json_boolean(u->cosine_first));
    double shift = j->r->net_frequency_shift;
    json_object_set_new(c, "freq_shift", shift == (int)shift ? json_integer((int)shift) : json_real(shift));
    json_object_set_new(c, "center_input_sample", json_boolean(u->centre));
    json_object_set_new(c, "class_embed_type", json_null());
    json_object_set_new(c, "num_class_embeds", whole_or_null(u->classes > 0 ? u->classes + !u->no_null : 0));
    if (u->classes > 0 && !u->no_null)
        json_object_set_new(c, "_ebb_null_class", json_true());
}

static json_t *net_config(const write_job *j)
{
    const ebb_unet_config *u = j->c;
    json_t *widths = json_array(), *c = json_object();
    for (int i = 0; i < u->levels; i++)
        json_array_append_new(widths, json_integer(width_of(u, i)));
    json_object_set_new(c, "_class_name", json_string("UNet2DModel"));
    json_object_set_new(c, "_diffusers_version", json_string(EBB_DIFFUSERS_VERSION));
    json_object_set_new(c, "sample_size", u->size_h == u->size_w ? json_integer(u->size_h) : json_pack("[i,i]", u->size_h, u->size_w));
    json_object_set_new(c, "in_channels", json_integer(u->channels));
    json_object_set_new(c, "out_channels", json_integer(u->channels * (j->m->net.learned_variance ? 2 : 1)));
    json_object_set_new(c, "block_out_channels", widths);
    json_object_set_new(c, "down_block_types", block_types(j, false));
    json_object_set_new(c, "up_block_types", block_types(j, true));
    json_object_set_new(c, "layers_per_block", json_integer(u->blocks));
    json_object_set_new(c, "downsample_padding", json_integer(u->pad_after ? 0 : 1));
    json_object_set_new(c, "downsample_type", json_string(u->block_down ? "resnet" : "conv"));
    json_object_set_new(c, "upsample_type", json_string(u->block_up ? "resnet" : "conv"));
    json_object_set_new(c, "attention_head_dim", whole_or_null(u->head));
    json_object_set_new(c, "norm_num_groups", j->skip ? json_null() : json_integer(u->groups));
    json_object_set_new(c, "norm_eps", json_real(j->r->net_norm_eps));
    json_object_set_new(c, "act_fn", json_string("silu"));
    json_object_set_new(c, "dropout", json_real(j->r->net_dropout));
    json_object_set_new(c, "num_train_timesteps", json_null());
    set_middle(j, c);
    set_told(j, c);
    return c;
}

/* ---- scheduler/scheduler_config.json ------------------------------------------------------------------------------------------------ */

static json_t *table_config(const write_job *j, const char *class)
{
    const ebb_recipe *r = j->r;
    ebb_schedule_options usual = ebb_schedule_usual(ebb_schedule_find(r->process_schedule), (int)r->process_steps);
    const char *schedule = is(r->process_schedule, "scaled-linear") ? "scaled_linear"
                           : is(r->process_schedule, "cosine") ? "squaredcos_cap_v2"
                           : is(r->process_schedule, "sigmoid-beta") ? "sigmoid" : "linear";
    const char *prediction = is(r->process_prediction, "x0") ? "sample" : is(r->process_prediction, "v") ? "v_prediction" : "epsilon";
    json_t *c = json_object();
    json_object_set_new(c, "_class_name", json_string(class));
    json_object_set_new(c, "_diffusers_version", json_string(EBB_DIFFUSERS_VERSION));
    json_object_set_new(c, "num_train_timesteps", json_integer(r->process_steps));
    json_object_set_new(c, "beta_start", json_real(r->process_beta_start > 0 ? r->process_beta_start : usual.beta_start));
    json_object_set_new(c, "beta_end", json_real(r->process_beta_end > 0 ? r->process_beta_end : usual.beta_end));
    json_object_set_new(c, "beta_schedule", json_string(schedule));
    json_object_set_new(c, "trained_betas", json_null());
    json_object_set_new(c, "prediction_type", json_string(prediction));
    json_object_set_new(c, "rescale_betas_zero_snr", json_boolean(r->process_zero_snr));
    return c;
}

static void set_clip(const write_job *j, json_t *c)
{
    json_object_set_new(c, "clip_sample", json_boolean(j->r->sample_clip > 0));
    json_object_set_new(c, "clip_sample_range", json_real(j->r->sample_clip > 0 ? j->r->sample_clip : 1));
}

/* The spacing and offset that the recipe's grid has, where it is one of diffusers'. */
static ebb_status set_spacing(const write_job *j, json_t *c)
{
    const char *kind;
    ebb_grid_options o;
    EBB_TRY(ebb_grid_parse(j->ctx, j->r->sample_grid, &kind, &o));
    bool theirs = kind != NULL && (is(kind, "leading") || is(kind, "trailing") || is(kind, "linspace"));
    json_object_set_new(c, "timestep_spacing", json_string(theirs ? kind : "leading"));
    json_object_set_new(c, "steps_offset", json_integer(o.offset));
    json_object_set_new(c, "set_alpha_to_one", json_boolean(!o.alpha_to_first));
    return EBB_OK;
}

/* DDPM's sampler and DDIM's have schedulers of the same steps; a model that samples otherwise gets DDIM's. */
static ebb_status scheduler_config(const write_job *j, json_t **out, const char **class)
{
    const char *sampler = j->r->sample_sampler;
    bool ancestral = strncmp(sampler, "ddpm", 4) == 0;
    *class = ancestral ? "DDPM" : "DDIM";
    json_t *c = *out = table_config(j, ancestral ? "DDPMScheduler" : "DDIMScheduler");
    set_clip(j, c);
    EBB_TRY(set_spacing(j, c));
    if (ancestral) {
        bool large = strncmp(sampler, "ddpm-large", 10) == 0, learned = strncmp(sampler, "ddpm-learned", 12) == 0;
        json_object_set_new(c, "variance_type", json_string(learned ? "learned_range" : large ? "fixed_large" : "fixed_small"));
        json_object_del(c, "set_alpha_to_one");
    } else if (strncmp(sampler, "ddim", 4) != 0) {
        char note[EBB_TEXT_MAX + 100];
        snprintf(note, sizeof note, "sample.sampler=%s: the scheduler written is DDIM's", sampler);
        json_array_append_new(j->notes, json_string(note));
    }
    return EBB_OK;
}

/* ---- files ---------------------------------------------------------------------------------------------------------------------------- */

static ebb_status write_json(const write_job *j, const char *folder, const char *name, json_t *json)
{
    char path[EBB_DIFFUSERS_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ebb_status status = ebb_json_write(j->ctx, path, json);
    json_decref(json);
    return status;
}

static ebb_status write_weights(const write_job *j, const char *folder)
{
    const ebb_params *p = &j->m->params;
    char path[EBB_DIFFUSERS_PATH];
    size_t rows_bytes = (size_t)p->count * (sizeof(ebb_st_tensor) + EBB_PARAM_NAME_MAX);
    ebb_st_tensor *rows;
    float *stage;
    json_t *metadata = json_pack("{s:s}", "format", "pt");
    EBB_TRY(ebb_alloc(j->ctx, (void **)&rows, rows_bytes, 1, "header of the weights"));
    ebb_status status = ebb_alloc(j->ctx, (void **)&stage, (size_t)p->length, sizeof *stage, "weights in PyTorch's order");
    if (status == EBB_OK) {
        ebb_params_to_file(j->ctx, p, stage, j->m->weights);
        ebb_params_rows(p, "", stage, (char *)(rows + p->count), rows);
        snprintf(path, sizeof path, "%s/unet/diffusion_pytorch_model.safetensors", folder);
        status = ebb_st_write(j->ctx, path, rows, p->count, metadata);
        ebb_free(stage);
    }
    json_decref(metadata);
    ebb_free(rows);
    return status;
}

static ebb_status make_folders(const write_job *j, const char *folder)
{
    char path[EBB_DIFFUSERS_PATH], **names;
    int32_t count = 0;
    if (strlen(folder) > EBB_DIFFUSERS_PATH - 100)
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "%.100s...: the name is too long", folder);
    if (ebb_file_exists(folder)) {
        EBB_TRY(ebb_directory_list(j->ctx, folder, &names, &count));
        ebb_free(names);
    }
    if (count > 0)
        return ebb_fail(j->ctx, EBB_E_ARGUMENT, "%s: this folder is not empty: give a new one", folder);
    snprintf(path, sizeof path, "%s/unet", folder);
    EBB_TRY(ebb_directory_make(j->ctx, path));
    snprintf(path, sizeof path, "%s/scheduler", folder);
    return ebb_directory_make(j->ctx, path);
}

/* The index comes last: what is half there is no pipeline yet. */
static ebb_status write_all(write_job *j, const char *folder)
{
    json_t *scheduler = NULL;
    const char *class;
    char pipeline[40], name[40];
    EBB_TRY(check_net(j));
    EBB_TRY(check_process(j));
    ebb_status status = scheduler_config(j, &scheduler, &class);
    if (status == EBB_OK)
        status = make_folders(j, folder);
    if (status != EBB_OK) {
        json_decref(scheduler);
        return status;
    }
    snprintf(pipeline, sizeof pipeline, "%sPipeline", class);
    snprintf(name, sizeof name, "%sScheduler", class);
    EBB_TRY(write_json(j, folder, "scheduler/scheduler_config.json", scheduler));
    EBB_TRY(write_weights(j, folder));
    EBB_TRY(write_json(j, folder, "unet/config.json", net_config(j)));
    return write_json(j, folder, "model_index.json",
                      json_pack("{s:s, s:s, s:[s,s], s:[s,s]}", "_class_name", pipeline, "_diffusers_version", EBB_DIFFUSERS_VERSION,
                                "scheduler", "diffusers", name, "unet", "diffusers", "UNet2DModel"));
}

ebb_status ebb_diffusers_write(const ebb_model *model, const char *folder, json_t *notes)
{
    ebb_context *ctx = model->ctx;
    write_job j = {.ctx = ctx, .m = model, .r = model->recipe, .c = &model->net.u.unet, .notes = notes};
    EBB_TRY(ebb_model_denoises(ctx, model));
    if (model->net.kind != EBB_NET_UNET)
        return no_word(&j, "net.kind", model->recipe->net_kind);
    return write_all(&j, folder);
}
