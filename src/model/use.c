/* use.c: from the keys of a recipe to what the other layers take: data options, network, schedule; and
 * the checks that need more than one key.
 */
#include <stdio.h>
#include <math.h>
#include <string.h>

#include "model/recipe.h"

/* The message names what would fit: divisors of the batch around the shard, the next batch. */
static ebb_status check_shard(ebb_context *ctx, const ebb_recipe *r)
{
    int64_t batch = r->train_batch, shard = r->train_shard, below = shard;
    if (batch % shard == 0)
        return EBB_OK;
    while (batch % below != 0)
        below--;
    return ebb_fail(
        ctx, EBB_E_ARGUMENT,
        "train.batch=%lld is not a multiple of train.shard=%lld: use train.shard=%lld or train.batch=%lld",
        (long long)batch, (long long)shard, (long long)below, (long long)((batch / shard + 1) * shard));
}

/* ---- U-Nets: what kinds settle where a key says auto --------------------------------------------------------- */

static bool is_unet(const ebb_recipe *r)
{
    return strcmp(r->net_kind, "mlp") != 0 && strcmp(r->net_kind, "mlp-classifier") != 0;
}

static bool is_classifier(const ebb_recipe *r)
{
    return strcmp(r->net_kind, "classifier") == 0 || strcmp(r->net_kind, "mlp-classifier") == 0;
}

static const char *settled(const ebb_recipe *r, const char *value, const char *unet, const char *ddpmpp, const char *ncsnpp)
{
    if (strcmp(value, "auto") != 0)
        return value;
    return strcmp(r->net_kind, "ncsnpp") == 0 ? ncsnpp : strcmp(r->net_kind, "ddpmpp") == 0 ? ddpmpp : unet;
}

static const char *resample_of(const ebb_recipe *r)
{
    return settled(r, r->net_resample, "conv", "mean", "fir");
}

static const char *progressive_of(const ebb_recipe *r)
{
    return settled(r, r->net_progressive_input, "none", "none", "residual");
}

static bool is_fourier(const ebb_recipe *r)
{
    return is_unet(r) && strcmp(settled(r, r->net_embedding, "positional", "positional", "fourier"), "fourier") == 0;
}

static ebb_status check_shape_of_unet(ebb_context *ctx, const ebb_recipe *r)
{
    if (strcmp(r->net_progressive_combine, "cat") == 0 && strcmp(progressive_of(r), "input-skip") != 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "net.progressive_combine=cat is of net.progressive_input=input-skip, not %s",
                        progressive_of(r));
    if (strcmp(r->process_clock, "auto") != 0 && is_fourier(r))
        return ebb_fail(ctx, EBB_E_ARGUMENT, "process.clock=%s is of positions: with net.embedding=fourier the network is told "
                        "log(sigma/alpha)", r->process_clock);
    return EBB_OK;
}

static int levels_of(const ebb_recipe *r)
{
    return r->net_widths.count > 0 ? r->net_widths.count : r->net_mult.count;
}

/* What networks of others have otherwise. */
static void settle_others(const ebb_recipe *r, ebb_unet_config *c)
{
    for (int i = 0; i < r->net_widths.count; i++)
        c->width[i] = r->net_widths.at[i];
    if (r->net_widths.count > 0)
        c->base = c->width[0];
    c->other_back = r->net_attention_back.count > 0;
    for (int i = 0; i < r->net_attention_back.count; i++)
        if (r->net_attention_back.at[i] >= 0)
            c->attention_back[r->net_attention_back.at[i]] = 1;
    c->head = (int)r->net_head;
    c->scale_shift = strcmp(r->net_time_effect, "scale-shift") == 0;
    c->time_width = (int)r->net_time_width;
    c->cosine_first = r->net_cosine_first;
    c->frequency_more = (float)(1 - r->net_frequency_shift);
    c->centre = r->net_centre;
    c->pad_after = strcmp(r->net_padding, "after") == 0;
    c->block_down = strcmp(r->net_downsample, "block") == 0;
    c->block_up = strcmp(r->net_upsample, "block") == 0;
    c->middle = strcmp(r->net_middle, "none") == 0    ? EBB_MIDDLE_NONE
                : strcmp(r->net_middle, "plain") == 0 ? EBB_MIDDLE_PLAIN : EBB_MIDDLE_ATTENTION;
    c->middle_groups = (int)r->net_middle_groups;
    c->middle_scale = (float)r->net_middle_scale;
    c->no_null = !r->net_null_class;
}

/* The fields of DDPM++ and NCSN++. */
static void settle_unet(const ebb_recipe *r, ebb_unet_config *c)
{
    const char *resample = resample_of(r), *progressive = progressive_of(r);
    c->groups_of_four = strcmp(r->net_kind, "ddpmpp") == 0 || strcmp(r->net_kind, "ncsnpp") == 0;
    c->rescale = strcmp(settled(r, r->net_skip_rescale, "no", "yes", "yes"), "yes") == 0;
    c->attention_once = strcmp(settled(r, r->net_attention_up, "each", "once", "once"), "once") == 0;
    c->resample = strcmp(resample, "fir") == 0 ? EBB_RESAMPLE_FIR
                  : strcmp(resample, "mean") == 0 ? EBB_RESAMPLE_MEAN : EBB_RESAMPLE_CONV;
    c->pyramid = strcmp(progressive, "residual") == 0 ? EBB_PYRAMID_RESIDUAL
                 : strcmp(progressive, "input-skip") == 0 ? EBB_PYRAMID_SKIP : EBB_PYRAMID_NONE;
    c->pyramid_concat = strcmp(r->net_progressive_combine, "cat") == 0;
    c->output = strcmp(r->net_progressive_output, "output-skip") == 0 ? EBB_PYRAMID_SKIP
              : strcmp(r->net_progressive_output, "residual") == 0  ? EBB_PYRAMID_RESIDUAL : EBB_PYRAMID_NONE;
    c->fourier = is_fourier(r) ? (float)r->net_fourier_scale : 0.0f;
}

static ebb_status check_attention(ebb_context *ctx, const ebb_recipe *r, const char *key, const ebb_key_INTS *levels)
{
    for (int i = 0; i < levels->count; i++)
        if (levels->at[i] >= levels_of(r))
            return ebb_fail(ctx, EBB_E_ARGUMENT, "net.%s names level %d, but net.%s has levels 0..%d", key, levels->at[i],
                            r->net_widths.count > 0 ? "widths" : "mult", levels_of(r) - 1);
    return EBB_OK;
}

static ebb_status check_levels(ebb_context *ctx, const ebb_recipe *r)
{
    if (!is_unet(r) && r->net_dropout > 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "net.dropout=%g is of U-Nets: net.kind=mlp has none", r->net_dropout);
    if (!is_unet(r) && !r->net_null_class)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "net.null_class=false is of U-Nets: net.kind=%s always has a row for no class", r->net_kind);
    if (!is_unet(r))
        return EBB_OK;
    EBB_TRY(check_shape_of_unet(ctx, r));
    if (levels_of(r) == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "net.mult is empty: give one number a level, as net.mult=1,2,2");
    EBB_TRY(check_attention(ctx, r, "attention", &r->net_attention));
    EBB_TRY(check_attention(ctx, r, "attention_back", &r->net_attention_back));
    bool blocks = strcmp(r->net_downsample, "block") == 0 || strcmp(r->net_upsample, "block") == 0;
    if (strcmp(resample_of(r), "conv") != 0 && blocks)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "net.downsample and net.upsample are of net.resample=conv, not %s: leave them out", resample_of(r));
    if (!r->net_null_class && r->net_classes > 0 && r->loss_label_drop > 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "loss.label_drop=%g shows pictures without class, but net.null_class=false has no row "
                        "for that: set one of them otherwise", r->loss_label_drop);
    return EBB_OK;
}

/* Network and loss belong together, and a class is what it is about. */
static ebb_status check_classifier(ebb_context *ctx, const ebb_recipe *r)
{
    bool trained = strcmp(r->loss_kind, "classification") == 0;
    if (is_classifier(r) != trained)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "net.kind=%s and loss.kind=%s: %s", r->net_kind, r->loss_kind, trained ?
                        "classification is of net.kind classifier or mlp-classifier" : "a classifier is trained by loss.kind=classification");
    if (!trained)
        return EBB_OK;
    if (r->net_classes < 2)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "net.classes=%lld: a classifier needs two classes at least", (long long)r->net_classes);
    if (strcmp(r->net_variance, "learned") == 0 || strcmp(r->loss_reduction, "mean") != 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "net.variance=%s, loss.reduction=%s: a classifier has one loss a picture and no "
                        "variance: leave both as they are", r->net_variance, r->loss_reduction);
    return EBB_OK;
}

static ebb_status check_sampling(ebb_context *ctx, const ebb_recipe *r)
{
    const ebb_sampler *sampler;
    ebb_sampler_settings set;
    ebb_grid_options grid;
    const char *kind;
    if (ebb_sampler_parse(ctx, r->sample_sampler, &sampler, &set) != EBB_OK)
        return ebb_fail_prefix(ctx, "sample.sampler");
    if (ebb_sampler_set_eta(ctx, sampler, r->sample_eta >= 0 ? r->sample_eta : NAN, &set) != EBB_OK)
        return ebb_fail_prefix(ctx, "sample.eta");
    if (ebb_grid_parse(ctx, r->sample_grid, &kind, &grid) != EBB_OK)
        return ebb_fail_prefix(ctx, "sample.grid");
    if (strcmp(r->process_kind, "ddpm") == 0 && r->sample_steps > r->process_steps)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "sample.steps=%lld is more than process.steps=%lld",
                        (long long)r->sample_steps, (long long)r->process_steps);
    if (r->sample_guidance > 0 && r->net_classes == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT,
                        "sample.guidance=%g needs a class-conditional model: set net.classes",
                        r->sample_guidance);
    return EBB_OK;
}

static ebb_schedule_options schedule_options(const ebb_recipe *r)
{
    ebb_schedule_options o = ebb_schedule_usual(ebb_schedule_find(r->process_schedule), (int)r->process_steps);
    o.beta_start = r->process_beta_start > 0 ? r->process_beta_start : o.beta_start;
    o.beta_end = r->process_beta_end > 0 ? r->process_beta_end : o.beta_end;
    o.clip = r->process_beta_clip;
    o.cosine_s = r->process_cosine_s;
    o.sigmoid_start = r->process_sigmoid_start;
    o.sigmoid_end = r->process_sigmoid_end;
    o.sigmoid_tau = r->process_sigmoid_tau;
    o.zero_snr = r->process_zero_snr;
    o.last_alpha_bar = r->process_last_alpha_bar;
    o.single = strcmp(r->process_table, "single") == 0;
    return o;
}

static ebb_status check_schedule(ebb_context *ctx, const ebb_recipe *r)
{
    const char *p = r->process_prediction;
    ebb_schedule_options o = schedule_options(r);
    if (o.beta_start > o.beta_end)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "process.beta_start=%g is above process.beta_end=%g", o.beta_start, o.beta_end);
    /* What divides by alpha says nothing about the picture where there is noise only. */
    bool blind = strcmp(p, "v") != 0 && strcmp(p, "x0") != 0 && strcmp(p, "flow") != 0;
    if (strcmp(r->process_kind, "ddpm") == 0 && o.zero_snr && o.last_alpha_bar == 0 && blind)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "process.zero_snr needs process.prediction v, x0 or flow: %s tells nothing of "
                        "the picture where the noise is all", p);
    return EBB_OK;
}

ebb_status ebb_recipe_check(ebb_context *ctx, const ebb_recipe *r)
{
    if (r->data_size.count > 2)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "data.size has %d numbers: give height,width or one number",
                        r->data_size.count);
    bool points = strcmp(r->data_kind, "ring") == 0 || strcmp(r->data_kind, "target") == 0;
    if (points && strcmp(r->data_colour, "as-is") != 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "data.colour=%s is of pictures: data.kind=%s makes points", r->data_colour, r->data_kind);
    if (strcmp(r->data_kind, "target") == 0 && r->data_held_out > 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "data.held_out=%lld: points of a law are drawn, so that more can be had: leave it at 0",
                        (long long)r->data_held_out);
    EBB_TRY(check_shard(ctx, r));
    EBB_TRY(check_levels(ctx, r));
    EBB_TRY(check_classifier(ctx, r));
    EBB_TRY(check_schedule(ctx, r));
    if (r->train_snapshot_every > 0 && strcmp(r->optim_ema_kind, "power-function") != 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "train.snapshot_every=%lld keeps averages of power functions: set "
                        "optim.ema_kind=power-function", (long long)r->train_snapshot_every);
    return check_sampling(ctx, r);
}

static ebb_unet_config unet_config(const ebb_recipe *r)
{
    ebb_unet_config unet = {
        .channels = (int)r->data_channels,
        .size_h = ebb_recipe_height(r),
        .size_w = ebb_recipe_width(r),
        .base = (int)r->net_base,
        .levels = levels_of(r),
        .blocks = (int)r->net_blocks,
        .groups = (int)r->net_groups,
        .eps = (float)r->net_norm_eps,
        .classes = is_classifier(r) ? 0 : (int)r->net_classes,
    };
    for (int i = 0; i < r->net_mult.count; i++)
        unet.mult[i] = r->net_mult.at[i];
    for (int i = 0; i < r->net_attention.count; i++)
        unet.attention[r->net_attention.at[i]] = 1;
    settle_unet(r, &unet);
    settle_others(r, &unet);
    return unet;
}

/* oneDNN, when asked for, has what it does in f32. */
static bool multiplies_bf16(const ebb_context *ctx)
{
    bool units = ctx->isa == EBB_ISA_AVX512BF16 || ctx->isa == EBB_ISA_AMX || ctx->isa == EBB_ISA_NEONBF16;
    return units && ctx->backend != EBB_BACKEND_ONEDNN;
}

/* Derivatives of the network are small differences of large numbers: f32, unless the recipe says otherwise. */
void ebb_recipe_settle(const ebb_context *ctx, ebb_recipe *r)
{
    if (strcmp(r->precision_type, "auto") == 0)
        snprintf(r->precision_type, sizeof r->precision_type, "%s",
                 multiplies_bf16(ctx) && !ebb_loss_differentiates(ebb_loss_find(r->loss_kind)) ? "bf16" : "f32");
}

ebb_plan_options ebb_recipe_plan(const ebb_recipe *r, int workers)
{
    return (ebb_plan_options){.workers = workers, .fast_conv = strcmp(r->precision_conv, "fast") == 0,
                              .bf16 = strcmp(r->precision_type, "bf16") == 0 ? EBB_BF16_CHANNELS : 0};
}

ebb_plan_options ebb_recipe_training_plan(const ebb_recipe *r, int workers)
{
    static const struct { const char *name; ebb_plan_memory memory; } levels[] = {
        {"most", EBB_MEMORY_PREPARED}, {"normal", EBB_MEMORY_NORMAL}, {"low", EBB_MEMORY_LOW},
        {"least", EBB_MEMORY_LEAST}, {"auto", EBB_MEMORY_AUTO},
    };
    ebb_plan_options options = ebb_recipe_plan(r, workers);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(r->train_memory, levels[i].name) == 0)
            options.memory = levels[i].memory;
    options.bound_from = 1;
    return options;
}

ebb_status ebb_recipe_network(ebb_context *ctx, const ebb_recipe *r, ebb_network *out)
{
    int64_t numbers = (int64_t)ebb_recipe_height(r) * ebb_recipe_width(r) * r->data_channels;
    *out = (ebb_network){0};
    if (numbers <= 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT,
                        "data.size and data.channels are not known: set them, as data.size=32 "
                        "data.channels=1");
    if (numbers > INT32_MAX / 4)
        return ebb_fail(ctx, EBB_E_ARGUMENT,
                        "data.size and data.channels make %lld numbers a picture: too many",
                        (long long)numbers);
    EBB_TRY(check_levels(ctx, r));
    if (is_unet(r)) {
        out->kind = EBB_NET_UNET;
        out->u.unet = unet_config(r);
    } else {
        out->kind = EBB_NET_MLP;
        out->u.mlp = (ebb_mlp_config){.inputs = (int)numbers,
                                      .width = (int)r->net_width,
                                      .depth = (int)r->net_depth,
                                      .time_dim = (int)r->net_time_dim,
                                      .classes = is_classifier(r) ? 0 : (int)r->net_classes};
    }
    out->prediction = ebb_prediction_find(r->process_prediction);
    out->sigma_data = r->process_sigma_data;
    /* A network of the score of a process that leaves the picture as it is, so that sigma/alpha is sigma. */
    bool exploding = strcmp(r->process_kind, "ve") == 0 || strcmp(r->process_kind, "smld") == 0 || strcmp(r->process_kind, "edm") == 0;
    out->over_sigma = exploding && is_fourier(r) && out->prediction == EBB_PREDICT_SCORE;
    out->dropout = r->net_dropout;
    out->learned_variance = strcmp(r->net_variance, "learned") == 0;
    out->logits = is_classifier(r) ? (int)r->net_classes : 0;
    return EBB_OK;
}

void ebb_recipe_objective(const ebb_recipe *r, ebb_objective *out)
{
    *out = (ebb_objective){.loss = ebb_loss_find(r->loss_kind), .weighting = ebb_weighting_find(r->loss_weighting),
                           .gamma = r->loss_gamma, .k = r->loss_k,
                           .half_sum = strcmp(r->loss_reduction, "half-sum") == 0, .each = strcmp(r->loss_times, "history") == 0 || is_classifier(r),
                           .bound = r->loss_bound * (double)r->process_steps};
}

/* What a network was not trained for counts nowhere: training, likelihoods and sampling begin or end there alike. */
static ebb_status begin_at(ebb_context *ctx, const ebb_recipe *r, ebb_process *p)
{
    double least = r->loss_t_min;
    if (least == 0)
        return EBB_OK;
    if (least >= p->end) {
        double end = p->end;
        ebb_process_free(p);
        return ebb_fail(ctx, EBB_E_ARGUMENT, "loss.t_min=%g: the process %s ends at t = %g", least, r->process_kind, end);
    }
    p->least = least;
    p->least_sample = least > p->least_sample ? least : p->least_sample;
    return EBB_OK;
}

ebb_status ebb_recipe_process(ebb_context *ctx, const ebb_recipe *r, ebb_process *out)
{
    ebb_schedule_options chain = schedule_options(r);
    ebb_process wanted = {.kind = ebb_process_find(r->process_kind),
                          .beta_min = r->process_beta_min, .beta_max = r->process_beta_max,
                          .sigma_min = r->process_sigma_min, .sigma_max = r->process_sigma_max,
                          .end = r->process_end, .log_clock = strcmp(r->process_clock, "log-snr") == 0, .steps = (int)r->process_steps};
    *out = (ebb_process){0};
    if (wanted.kind == EBB_PROCESS_DDPM)
        EBB_TRY(ebb_schedule_make(ctx, &chain, &wanted.chain));
    EBB_TRY(ebb_process_create(ctx, &wanted, out));
    return begin_at(ctx, r, out);
}

ebb_status ebb_recipe_dataset(ebb_context *ctx, const ebb_recipe *r, ebb_dataset *out)
{
    char path[2 * EBB_TEXT_MAX] = "", labels[2 * EBB_TEXT_MAX] = "";
    bool files = strcmp(r->data_kind, "synthetic") != 0 && strcmp(r->data_kind, "ring") != 0;
    *out = (ebb_dataset){0};
    if (strcmp(r->data_kind, "target") == 0)
        return ebb_recipe_points(ctx, r, out);
    if (files && *r->data_path == 0)
        return ebb_fail(ctx, EBB_E_ARGUMENT, "data.path is empty, so it is not known which pictures: give data, a file or folder "
                        "(the pipelines of diffusers do not say what they were trained on)");
    if (files)
        EBB_TRY(ebb_dataset_find(ctx, r->data_path, r->directory, path, sizeof path));
    if (files && *r->data_labels != 0 && strcmp(r->data_kind, "png") != 0)
        EBB_TRY(ebb_dataset_find(ctx, r->data_labels, r->directory, labels, sizeof labels));
    ebb_dataset_options options = {
        .kind = r->data_kind,
        .path = files ? path : r->data_kind,
        .labels = labels,
        .height = ebb_recipe_height(r),
        .width = ebb_recipe_width(r),
        .channels = (int)r->data_channels,
        .classes = (int)r->net_classes,
        .limit = r->data_limit,
        .held_out = r->data_held_out,
        .seed = (uint64_t)r->train_seed,
        .ink = strcmp(r->data_colour, "hue") == 0,
        .average = strcmp(r->data_larger, "average") == 0,
    };
    return ebb_dataset_open(ctx, &options, out);
}

void ebb_recipe_resolve(ebb_recipe *r, const ebb_dataset *data)
{
    r->data_size = (ebb_key_INTS){2, {data->height, data->width}};
    r->data_channels = data->channels;
}

ebb_status ebb_recipe_complete(ebb_context *ctx, ebb_recipe *r)
{
    ebb_dataset data;
    if (ebb_recipe_height(r) > 0 && r->data_channels > 0)
        return EBB_OK;
    EBB_TRY(ebb_recipe_dataset(ctx, r, &data));
    ebb_recipe_resolve(r, &data);
    ebb_dataset_free(&data);
    return EBB_OK;
}
