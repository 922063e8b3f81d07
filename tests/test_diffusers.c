/* test_diffusers.c: pipelines of diffusers as models: layouts, shards, names, numbers, every rule of the configuration, and what is
 * refused and how.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/diffusers.h"
#include "support/one_context.h"
#include "support/temporary.h"

#define REFS EBB_SOURCE_DIR "/tests/refs/"
#define WEIGHTS "diffusion_pytorch_model"

static temporary_folder folder;
static char path[400];

static const char *in(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const void *data, size_t size)
{
    ebb_writer *w;
    ok(ebb_writer_open(ctx, in(name), &w));
    ok(ebb_writer_write(w, data, size));
    ok(ebb_writer_commit(&w));
}

static void copy(const char *from, const char *name)
{
    char source[500];
    void *data;
    size_t size;
    snprintf(source, sizeof source, REFS "%s", from);
    ok(ebb_file_read(ctx, source, 1 << 24, &data, &size));
    put(name, data, size);
    ebb_free(data);
}

/* A flat copy of a reference's pipeline. */
static void begin(const char *ref)
{
    char from[300];
    assert_true(temporary_make(folder, "diffusers"));
    snprintf(from, sizeof from, "%s/unet/config.json", ref);
    copy(from, "config.json");
    snprintf(from, sizeof from, "%s/unet/" WEIGHTS ".safetensors", ref);
    copy(from, WEIGHTS ".safetensors");
    snprintf(from, sizeof from, "%s/scheduler/scheduler_config.json", ref);
    copy(from, "scheduler_config.json");
}

static void end(void)
{
    assert_true(temporary_remove(folder));
}

static void refused(ebb_status status, const char *words)
{
    ebb_model *m;
    ebb_status got = ebb_model_load(ctx, folder, &m);
    if (got == EBB_OK || strstr(ebb_message(ctx), words) == NULL)
        fail_msg("expected \"%s\", got %s: %s", words, ebb_status_name(got), got == EBB_OK ? "" : ebb_message(ctx));
    assert_int_equal(got, status);
    assert_null(m);
}

/* The configuration with one key otherwise; value NULL: without it. */
static void change(const char *name, const char *key, const char *value)
{
    json_t *config = json_load_file(in(name), 0, NULL);
    assert_non_null(config);
    if (value != NULL)
        json_object_set_new(config, key, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(config, key);
    assert_int_equal(json_dump_file(config, in(name), 0), 0);
    json_decref(config);
}

static ebb_model *load(const char *from)
{
    ebb_model *m;
    ok(ebb_model_load(ctx, from, &m));
    return m;
}

/* ---- files -------------------------------------------------------------------------------------------------------------------- */

static void same_weights(const ebb_model *a, const ebb_model *b)
{
    assert_int_equal(a->params.length, b->params.length);
    assert_memory_equal(a->weights, b->weights, (size_t)a->params.length * sizeof(float));
}

static void test_layouts(void **state)
{
    (void)state;
    ebb_model *nested = load(REFS "unet_ddpm_cifar10_style"), *flat;
    begin("unet_ddpm_cifar10_style");
    flat = load(folder);
    same_weights(nested, flat);
    assert_int_equal(nested->params.numbers, 103875);
    ebb_model_free(flat);
    ebb_model_free(nested);
    ebb_os_table.unlink(in("scheduler_config.json"));
    refused(EBB_E_IO, "scheduler_config.json");
    ebb_os_table.unlink(in("config.json"));
    refused(EBB_E_FORMAT, "no pipeline of diffusers");
    end();
}

/* Halves of the tensors in two files. overlap: the first of the second is in the first, too. */
static void write_shards(bool overlap, const char *second)
{
    ebb_safetensors st;
    ok(ebb_st_read(ctx, REFS "unet_ddpm_cifar10_style/unet/" WEIGHTS ".safetensors", &st));
    int32_t half = st.count / 2;
    json_t *map = json_object();
    for (int32_t i = 0; i < st.count; i++)
        json_object_set_new(map, st.tensor[i].name, json_string(i < half ? "a.safetensors" : second));
    json_t *index = json_pack("{s:{s:i}, s:o}", "metadata", "total_size", 1, "weight_map", map);
    ok(ebb_st_write(ctx, in("a.safetensors"), st.tensor, half + overlap, NULL));
    ok(ebb_st_write(ctx, in("b.safetensors"), st.tensor + half, st.count - half, NULL));
    assert_int_equal(json_dump_file(index, in(WEIGHTS ".safetensors.index.json"), 0), 0);
    json_decref(index);
    ebb_st_free(&st);
}

static void test_shards(void **state)
{
    (void)state;
    begin("unet_ddpm_cifar10_style");
    ebb_model *whole = load(folder), *parts;
    ebb_os_table.unlink(in(WEIGHTS ".safetensors"));
    write_shards(false, "b.safetensors");
    parts = load(folder);
    same_weights(whole, parts);
    ebb_model_free(parts);
    ebb_model_free(whole);
    write_shards(true, "b.safetensors");
    refused(EBB_E_FORMAT, "shards must not overlap");
    write_shards(false, "c.safetensors");
    refused(EBB_E_IO, "c.safetensors");
    write_shards(false, "a.safetensors");
    refused(EBB_E_FORMAT, "is not in a.safetensors");
    write_shards(false, "../b.safetensors");
    refused(EBB_E_FORMAT, "a file beside");
    end();
}

static void test_pickles(void **state)
{
    (void)state;
    begin("unet_ddpm_cifar10_style");
    ebb_os_table.unlink(in(WEIGHTS ".safetensors"));
    refused(EBB_E_IO, "no weights");
    put(WEIGHTS ".bin", "x", 1);
    refused(EBB_E_UNSUPPORTED, "pickle");
    refused(EBB_E_UNSUPPORTED, "safe_serialization=True");
    end();
}

/* ---- tensors --------------------------------------------------------------------------------------------------------------------- */

/* The weights anew, with tensor number `at` changed. */
static void rewrite(int32_t at, void (*edit)(ebb_st_tensor *t))
{
    ebb_safetensors st;
    ok(ebb_st_read(ctx, REFS "unet_ddpm_cifar10_style/unet/" WEIGHTS ".safetensors", &st));
    edit(&st.tensor[at]);
    ok(ebb_st_write(ctx, in(WEIGHTS ".safetensors"), st.tensor, st.count, NULL));
    ebb_st_free(&st);
}

static void other_name(ebb_st_tensor *t)
{
    t->name = "conv_on.weight";
}

static void other_shape(ebb_st_tensor *t)
{
    t->dim[t->rank++] = 1;
}

static void not_finite(ebb_st_tensor *t)
{
    const float inf = INFINITY;
    memcpy((void *)(uintptr_t)t->data, &inf, sizeof inf);
}

/* Every number of the tensor as bfloat16 and half, whose bits are cut. */
static uint16_t narrow[1 << 16];
static void as_bf16(ebb_st_tensor *t)
{
    size_t count = t->bytes / 4;
    for (size_t i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, (const char *)t->data + 4 * i, 4);
        narrow[i] = (uint16_t)(word >> 16);
    }
    t->type = EBB_ST_BF16;
    t->data = narrow;
    t->bytes = 2 * count;
}

static void as_half(ebb_st_tensor *t)
{
    static const uint16_t values[] = {0x3c00, 0xc000, 0x3555, 0x0001, 0x8000, 0x7bff, 0x0400, 0x3800};   /* 1, -2, ... */
    size_t count = t->bytes / 4;
    for (size_t i = 0; i < count; i++)
        narrow[i] = values[i % 8];
    t->type = EBB_ST_F16;
    t->data = narrow;
    t->bytes = 2 * count;
}

static const float *weights_of(const ebb_model *m, const char *name, int64_t *count)
{
    for (int i = 0; i < m->params.count; i++)
        if (strcmp(m->params.at[i].name, name) == 0) {
            *count = m->params.at[i].count;
            return m->weights + m->params.at[i].offset;
        }
    fail_msg("no parameter %s", name);
    return NULL;
}

static int32_t number_of(const char *name)
{
    ebb_safetensors st;
    int32_t at = -1;
    ok(ebb_st_read(ctx, REFS "unet_ddpm_cifar10_style/unet/" WEIGHTS ".safetensors", &st));
    for (int32_t i = 0; i < st.count; i++)
        at = strcmp(st.tensor[i].name, name) == 0 ? i : at;
    ebb_st_free(&st);
    assert_true(at >= 0);
    return at;
}

static void test_tensors(void **state)
{
    (void)state;
    static const float half[] = {1, -2, 0.333251953125f, 5.9604644775390625e-08f, -0.0f, 65504, 6.103515625e-05f, 0.5f};
    int64_t count, same;
    begin("unet_ddpm_cifar10_style");
    int32_t at = number_of("conv_in.bias");
    rewrite(at, other_name);
    refused(EBB_E_FORMAT, "'conv_in.bias', which its config.json asks for, is missing");
    rewrite(at, other_shape);
    refused(EBB_E_SHAPE, "'conv_in.bias' has shape 8x1, but its config.json makes 8");
    rewrite(at, not_finite);
    refused(EBB_E_NUMERIC, "conv_in.bias");
    rewrite(at, as_half);
    ebb_model *m = load(folder);
    assert_memory_equal(weights_of(m, "conv_in.bias", &count), half, sizeof half);
    assert_int_equal(count, 8);
    ebb_model_free(m);
    rewrite(at, as_bf16);
    m = load(folder);
    ebb_model *whole = load(REFS "unet_ddpm_cifar10_style");
    const float *cut = weights_of(m, "conv_in.bias", &count), *full = weights_of(whole, "conv_in.bias", &same);
    for (int64_t i = 0; i < count; i++)
        assert_true(fabsf(cut[i] - full[i]) <= fabsf(full[i]) / 128);
    ebb_model_free(whole);
    ebb_model_free(m);
    end();
}

static void test_rest(void **state)
{
    (void)state;
    begin("unet_ddpm_cifar10_style");
    change("config.json", "mid_block_type", "null");
    refused(EBB_E_FORMAT, "has no place in the network");
    end();
}

/* ---- the network ------------------------------------------------------------------------------------------------------------------- */

static ebb_recipe *recipe_of(void)
{
    ebb_diffusers d;
    ebb_recipe *r = NULL;
    ok(ebb_diffusers_read(ctx, folder, &d));
    ok(ebb_recipe_copy(ctx, d.recipe, &r));
    ebb_diffusers_free(&d);
    return r;
}

static void test_defaults(void **state)
{
    (void)state;
    begin("unet_butterflies_style");
    static const char *const keys[] = {"norm_eps", "downsample_padding", "flip_sin_to_cos", "freq_shift", "attention_head_dim",
                                       "norm_num_groups", "layers_per_block", "mid_block_type"};
    change("config.json", "block_out_channels", "[32, 64]");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        change("config.json", keys[i], NULL);
    change("config.json", "a_key_of_tomorrow", "1");
    ebb_recipe *r = recipe_of();
    assert_true(r->net_norm_eps == 1e-5 && r->net_groups == 32 && r->net_head == 8 && r->net_blocks == 2);
    assert_true(r->net_cosine_first && r->net_frequency_shift == 0);
    assert_string_equal(r->net_padding, "around");
    assert_string_equal(r->net_middle, "attention");
    assert_true(r->net_classes == 11 && !r->net_null_class && r->loss_label_drop == 0);
    assert_true(r->data_size.at[0] == 16 && r->data_channels == 1);
    ebb_recipe_free(r);
    ebb_diffusers d;
    ok(ebb_diffusers_read(ctx, folder, &d));
    assert_int_equal(json_array_size(d.passed_over), 1);
    assert_string_equal(json_string_value(json_array_get(d.passed_over, 0)), "a_key_of_tomorrow");
    ebb_diffusers_free(&d);
    end();
}

/* The key missing beside old names means one head, and is told. */
static void test_heads(void **state)
{
    (void)state;
    ebb_diffusers d;
    begin("unet_ddpm_cifar10_style");
    change("config.json", "attention_head_dim", NULL);
    ok(ebb_diffusers_read(ctx, folder, &d));
    assert_true(d.old_names && d.recipe->net_head == 0);
    assert_int_equal(json_array_size(d.notes), 1);
    ebb_diffusers_free(&d);
    change("config.json", "attention_head_dim", "3");
    refused(EBB_E_UNSUPPORTED, "attention_head_dim");
    end();
}

static void test_network_rules(void **state)
{
    (void)state;
    static const struct { const char *key, *value, *words; } rows[] = {
        {"_class_name", "\"UNet2DConditionModel\"", "UNet2DConditionModel"},
        {"act_fn", "\"gelu\"", "act_fn"},
        {"time_embedding_type", "\"learned\"", "time_embedding_type"},
        {"class_embed_type", "\"timestep\"", "class_embed_type"},
        {"down_block_types", "[\"DownBlock2D\", \"CrossAttnDownBlock2D\", \"DownBlock2D\"]", "CrossAttnDownBlock2D"},
        {"down_block_types", "[\"DownBlock2D\", \"SkipDownBlock2D\", \"DownBlock2D\"]", "Skip"},
        {"up_block_types", "[\"UpBlock2D\"]", "1 blocks, but block_out_channels has 3"},
        {"mid_block_type", "\"UNetMidBlock2DCrossAttn\"", "mid_block_type"},
        {"resnet_time_scale_shift", "\"spatial\"", "spatial"},
        {"downsample_padding", "2", "downsample_padding"},
        {"downsample_type", "\"fir\"", "downsample_type"},
        {"out_channels", "4", "out_channels"},
        {"sample_size", "null", "sample_size"},
        {"norm_num_groups", "null", "norm_num_groups"},
        {"block_out_channels", "[]", "block_out_channels"},
        {"layers_per_block", "\"two\"", "layers_per_block"},
        {"flip_sin_to_cos", "\"yes\"", "flip_sin_to_cos"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ebb_model *m;
        begin("unet_ddpm_cifar10_style");
        change("config.json", rows[i].key, rows[i].value);
        if (ebb_model_load(ctx, folder, &m) == EBB_OK || strstr(ebb_message(ctx), rows[i].words) == NULL)
            fail_msg("%s=%s: %s", rows[i].key, rows[i].value, m != NULL ? "loaded" : ebb_message(ctx));
        assert_null(m);
        end();
    }
}

/* Keys that change the network without changing its parameters' shapes. */
static void test_network_settings(void **state)
{
    (void)state;
    begin("unet_ddpm_cifar10_style");
    change("config.json", "center_input_sample", "true");
    change("config.json", "mid_block_scale_factor", "1.5");
    change("config.json", "downsample_padding", "1");
    change("config.json", "dropout", "0.1");
    change("config.json", "down_block_types", "[\"DownBlock2D\", \"UNetResAttnDownBlock2D\", \"DownBlock2D\"]");
    ebb_recipe *r = recipe_of();
    assert_true(r->net_centre && r->net_middle_scale == 1.5 && r->net_dropout == 0.1 && r->net_attention.at[0] == 1);
    assert_int_equal(r->net_attention_back.count, 0);
    ebb_recipe_free(r);
    ebb_model *m = load(folder);
    ebb_model_free(m);
    end();
}

/* ---- the scheduler ------------------------------------------------------------------------------------------------------------------ */

typedef struct scheduler_row { const char *class, *key, *value, *words; } scheduler_row;

static void set_scheduler(const scheduler_row *row)
{
    char class[100];
    snprintf(class, sizeof class, "\"%s\"", row->class);
    begin("unet_ddpm_cifar10_style");
    put("scheduler_config.json", "{}", 2);
    change("scheduler_config.json", "_class_name", class);
    change("scheduler_config.json", row->key, row->value);
}

static void test_process_refusals(void **state)
{
    (void)state;
    static const scheduler_row rows[] = {
        {"LMSDiscreteScheduler", "x", "1", "LMSDiscreteScheduler"},
        {"DDPMScheduler", "trained_betas", "[0.1, 0.2]", "trained_betas"},
        {"DDPMScheduler", "beta_schedule", "\"laplace\"", "laplace"},
        {"DDPMScheduler", "prediction_type", "\"flow_prediction\"", "flow_prediction"},
        {"DDPMScheduler", "timestep_spacing", "\"random\"", "random"},
        {"DDPMScheduler", "beta_start", "0.5", "beta_start"},
        {"DDPMScheduler", "rescale_betas_zero_snr", "true", "zero_snr"},
        {"EulerDiscreteScheduler", "timestep_type", "\"continuous\"", "continuous"},
        {"UniPCMultistepScheduler", "use_flow_sigmas", "true", "use_flow_sigmas"},
        {"DDIMScheduler", "num_train_timesteps", "1.5", "num_train_timesteps"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ebb_model *m;
        set_scheduler(&rows[i]);
        if (ebb_model_load(ctx, folder, &m) == EBB_OK || strstr(ebb_message(ctx), rows[i].words) == NULL)
            fail_msg("%s %s: %s", rows[i].class, rows[i].key, m != NULL ? "loaded" : ebb_message(ctx));
        end();
    }
}

/* What only the sampler cannot do keeps the model, and is told when pictures are asked for without a sampler. */
static void test_sampler_refusals(void **state)
{
    (void)state;
    static const scheduler_row rows[] = {
        {"DDPMScheduler", "variance_type", "\"fixed_large_log\"", "fixed_large_log"},
        {"DDPMScheduler", "variance_type", "\"learned_range\"", "learned_range"},
        {"PNDMScheduler", "timestep_spacing", "\"trailing\"", "trailing"},
        {"PNDMScheduler", "prediction_type", "\"v_prediction\"", "v_prediction"},
        {"DPMSolverMultistepScheduler", "algorithm_type", "\"sde-dpmsolver\"", "sde-dpmsolver"},
        {"DPMSolverMultistepScheduler", "use_lu_lambdas", "true", "use_lu_lambdas"},
        {"DPMSolverMultistepScheduler", "lambda_min_clipped", "-5.1", "lambda_min_clipped"},
        {"UniPCMultistepScheduler", "disable_corrector", "[0]", "disable_corrector"},
        {"EulerDiscreteScheduler", "interpolation_type", "\"log_linear\"", "log_linear"},
        {"EulerDiscreteScheduler", "use_beta_sigmas", "true", "use_beta_sigmas"},
    };
    static float pixels[8 * 8 * 3];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        set_scheduler(&rows[i]);
        ebb_model *m = load(folder);
        ebb_sample_options o = ebb_sample_defaults();
        assert_int_equal(ebb_sample(ctx, m, &o, pixels), EBB_E_UNSUPPORTED);
        if (strstr(ebb_message(ctx), rows[i].words) == NULL || strstr(ebb_message(ctx), "choose a sampler") == NULL)
            fail_msg("%s: %s", rows[i].words, ebb_message(ctx));
        o.sampler = "ddim";
        o.steps = 2;
        ok(ebb_sample(ctx, m, &o, pixels));
        ebb_model_free(m);
        end();
    }
}

/* DDIMPipeline takes whatever scheduler there is for one of DDIM. */
static void test_pipelines(void **state)
{
    (void)state;
    static const char ddim[] = "{\"_class_name\": \"DDIMPipeline\", \"unet\": [\"diffusers\", \"UNet2DModel\"]}";
    static const char latent[] = "{\"_class_name\": \"LDMPipeline\", \"vqvae\": [\"diffusers\", \"VQModel\"]}";
    begin("unet_ddpm_cifar10_style");
    ebb_recipe *r = recipe_of();
    assert_string_equal(r->sample_sampler, "ddpm-large:final_noise=1");
    assert_int_equal(r->sample_steps, 1000);
    ebb_recipe_free(r);
    put("model_index.json", ddim, sizeof ddim - 1);
    r = recipe_of();
    assert_string_equal(r->sample_sampler, "ddim:keep_eps=1");
    assert_string_equal(r->sample_grid, "leading");
    assert_int_equal(r->sample_steps, 50);
    ebb_recipe_free(r);
    put("model_index.json", latent, sizeof latent - 1);
    refused(EBB_E_UNSUPPORTED, "vqvae");
    end();
}

/* A table of 11 classes has no row for none. */
static void test_classes(void **state)
{
    (void)state;
    static float pixels[16 * 16];
    ebb_model *m = load(REFS "unet_butterflies_style");
    ebb_sample_options o = ebb_sample_defaults();
    o.steps = 2;
    assert_int_equal(ebb_sample(ctx, m, &o, pixels), EBB_E_ARGUMENT);
    assert_non_null(strstr(ebb_message(ctx), "always needs a class"));
    o.label = 3;
    ok(ebb_sample(ctx, m, &o, pixels));
    o.guidance = 1;
    assert_int_equal(ebb_sample(ctx, m, &o, pixels), EBB_E_ARGUMENT);
    ebb_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),           cmocka_unit_test(test_shards),
        cmocka_unit_test(test_pickles),           cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_rest),              cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_heads),             cmocka_unit_test(test_network_rules),
        cmocka_unit_test(test_network_settings),  cmocka_unit_test(test_process_refusals),
        cmocka_unit_test(test_sampler_refusals),  cmocka_unit_test(test_pipelines),
        cmocka_unit_test(test_classes),
    };
    return cmocka_run_group_tests(tests, make_context, free_context);
}
