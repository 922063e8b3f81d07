/* diffusers_scheduler.c: the configuration of a scheduler as section process of a recipe, and as sampler and grid.
 *
 * The tables of diffusers are in float (process.table=single). What the scheduler's class does with them is told in our words:
 *   DDPM    ancestral; the noise of variance beta also after a last step that does not end at timestep 0 (final_noise)
 *   DDIM    steps go to timestep t - floor(T/n), whatever the next one is (even_steps); x_0 is clipped, the noise kept (keep_eps)
 *   PNDM    Runge-Kutta steps first (pndm) or not (plms); ends at alpha_bar of timestep 0
 *   DPM-Solver, UniPC   leading and linspace make one timestep more and drop the last (drop)
 *   Euler, Heun         linspace does not round (between); they start at sigma z (scaled)
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/diffusers.h"

typedef struct scheduler_job {
    ebb_diffusers *d;
    const json_t *c;
    int64_t steps, offset;       /* T */
    const char *spacing;
    char sampler[200], grid[200];
} scheduler_job;

static ebb_status unsupported(const scheduler_job *j, const char *key, const char *value, const char *have)
{
    return ebb_fail(j->d->ctx, EBB_E_UNSUPPORTED, "%s: key '%s': %s: ebb has %s", j->d->scheduler_path, key, value, have);
}

static ebb_status text(const scheduler_job *j, const char *key, const char **out)
{
    return ebb_diffusers_text(j->d, j->c, j->d->scheduler_path, key, out);
}

static ebb_status real(const scheduler_job *j, const char *key, double *out)
{
    return ebb_diffusers_real(j->d, j->c, j->d->scheduler_path, key, out);
}

static ebb_status whole(const scheduler_job *j, const char *key, int64_t *out)
{
    return ebb_diffusers_int(j->d, j->c, j->d->scheduler_path, key, out);
}

/* Keys that some classes do not have are false. */
static bool is_set(const scheduler_job *j, const char *key)
{
    return json_is_true(json_object_get(j->c, key));
}

static bool says(const scheduler_job *j, const char *key, const char *value)
{
    const char *have = json_string_value(json_object_get(j->c, key));
    return have != NULL && strcmp(have, value) == 0;
}

static bool is_class(const scheduler_job *j, const char *name)
{
    return strcmp(j->d->scheduler_class, name) == 0;
}

/* ---- the process ---------------------------------------------------------------------------------------------------------------- */

static const char *const schedules[][2] = {
    {"linear", "linear"}, {"scaled_linear", "scaled-linear"}, {"squaredcos_cap_v2", "cosine"}, {"sigmoid", "sigmoid-beta"},
};
static const char *const predictions[][2] = {{"epsilon", "epsilon"}, {"sample", "x0"}, {"v_prediction", "v"}};

static ebb_status set_word(const scheduler_job *j, const char *key, const char *ours, const char *const (*words)[2], int count)
{
    const char *value;
    char all[200] = "";
    EBB_TRY(text(j, key, &value));
    for (int i = 0, n = 0; i < count; i++) {
        n += snprintf(all + n, sizeof all - (size_t)n, "%s%s", i > 0 ? ", " : "", words[i][0]);
        if (strcmp(value, words[i][0]) == 0)
            return ebb_diffusers_set(j->d, ours, "%s", words[i][1]);
    }
    return unsupported(j, key, value, all);
}

/* These classes keep the last alpha_bar from being 0, so that sigma/alpha has a bound; the others let it be. */
static ebb_status set_zero_snr(const scheduler_job *j)
{
    if (!is_set(j, "rescale_betas_zero_snr"))
        return EBB_OK;
    bool bounded = !is_class(j, "DDPMScheduler") && !is_class(j, "DDIMScheduler");
    EBB_TRY(ebb_diffusers_set(j->d, "process.zero_snr", "true"));
    return ebb_diffusers_set(j->d, "process.last_alpha_bar", "%.17g", bounded ? ldexp(1, -24) : 0.0);
}

static ebb_status set_process(scheduler_job *j)
{
    double start, end;
    if (!ebb_diffusers_null(j->c, "trained_betas"))
        return unsupported(j, "trained_betas", "a table of its own", "the schedules of beta_schedule");
    if (is_set(j, "use_flow_sigmas"))
        return unsupported(j, "use_flow_sigmas", "true", "the schedules of beta_schedule");
    if (says(j, "timestep_type", "continuous"))
        return unsupported(j, "timestep_type", "continuous", "discrete");
    EBB_TRY(whole(j, "num_train_timesteps", &j->steps));
    EBB_TRY(real(j, "beta_start", &start));
    EBB_TRY(real(j, "beta_end", &end));
    EBB_TRY(ebb_diffusers_set(j->d, "process.kind", "ddpm"));
    EBB_TRY(ebb_diffusers_set(j->d, "process.table", "single"));
    EBB_TRY(ebb_diffusers_set(j->d, "process.steps", "%lld", (long long)j->steps));
    EBB_TRY(ebb_diffusers_set(j->d, "process.beta_start", "%.17g", start));
    EBB_TRY(ebb_diffusers_set(j->d, "process.beta_end", "%.17g", end));
    EBB_TRY(set_word(j, "beta_schedule", "process.schedule", schedules, 4));
    EBB_TRY(set_word(j, "prediction_type", "process.prediction", predictions, 3));
    return set_zero_snr(j);
}

/* ---- the sampler ---------------------------------------------------------------------------------------------------------------- */

/* What of the sampler ebb cannot do. The first counts. */
static ebb_status refuse(const scheduler_job *j, const char *format, const char *what)
{
    char reason[200];
    if (j->d->recipe->sample_refused[0] != 0)
        return EBB_OK;
    snprintf(reason, sizeof reason, format, what);
    return ebb_diffusers_set(j->d, "sample.refused", "%s: %s", j->d->scheduler_class, reason);
}

static ebb_status refuse_key(const scheduler_job *j, const char *key)
{
    char *value, text[160];
    EBB_TRY(ebb_json_text(j->d->ctx, json_object_get(j->c, key), 0, &value));
    snprintf(text, sizeof text, "%s %.100s", key, value);
    ebb_free(value);
    return refuse(j, "%s", text);
}

/* Adds ",key=value" or ":key=value" behind a name. */
static void add(char *text, const char *key, double value)
{
    size_t n = strlen(text);
    snprintf(text + n, 200 - n, "%c%s=%.17g", strchr(text, ':') != NULL ? ',' : ':', key, value);
}

/* Estimates of x_0 are kept within bounds, or not. Dynamic thresholds that may not rise above 1 are the bounds of 1. */
static ebb_status set_clip(const scheduler_job *j)
{
    double most = 1, range = 1;
    bool thresholding = is_set(j, "thresholding");
    if (thresholding)
        EBB_TRY(real(j, "sample_max_value", &most));
    if (thresholding && most > 1)
        return refuse(j, "%s", "thresholding with a sample_max_value above 1");
    bool clips = is_set(j, "clip_sample");
    if (clips && !thresholding)
        EBB_TRY(real(j, "clip_sample_range", &range));
    return ebb_diffusers_set(j->d, "sample.clip", "%.17g", clips || thresholding ? range : 0);
}

/* The grid of timestep_spacing. */
static ebb_status set_spacing(scheduler_job *j)
{
    EBB_TRY(text(j, "timestep_spacing", &j->spacing));
    EBB_TRY(whole(j, "steps_offset", &j->offset));
    if (strcmp(j->spacing, "leading") != 0 && strcmp(j->spacing, "trailing") != 0 && strcmp(j->spacing, "linspace") != 0)
        return unsupported(j, "timestep_spacing", j->spacing, "leading, trailing, linspace");
    snprintf(j->grid, sizeof j->grid, "%s", j->spacing);
    if (strcmp(j->spacing, "leading") == 0 && j->offset != 0)
        add(j->grid, "offset", (double)j->offset);
    return EBB_OK;
}

/* The last level of those that walk over sigmas. */
static ebb_status set_end(scheduler_job *j)
{
    if (says(j, "final_sigmas_type", "sigma_min"))
        add(j->grid, "alpha_to_first", 1);
    else if (!says(j, "final_sigmas_type", "zero"))
        return refuse_key(j, "final_sigmas_type");
    return EBB_OK;
}

/* Levels spread as Karras et al.'s, or geometrically, and what their timesteps are rounded to. */
static ebb_status set_spread(scheduler_job *j, int rounding)
{
    bool karras = is_set(j, "use_karras_sigmas"), exponential = is_set(j, "use_exponential_sigmas");
    double value;
    if (is_set(j, "use_beta_sigmas"))
        return refuse_key(j, "use_beta_sigmas");
    if (is_set(j, "use_lu_lambdas"))
        return refuse_key(j, "use_lu_lambdas");
    if (!karras && !exponential)
        return EBB_OK;
    add(j->grid, karras ? "karras" : "exponential", 1);
    for (int i = 0; i < 2; i++) {
        const char *key = i == 0 ? "sigma_min" : "sigma_max";
        if (ebb_diffusers_null(j->c, key))
            continue;
        EBB_TRY(real(j, key, &value));
        add(j->grid, key, value);
    }
    if (rounding != 0)
        add(j->grid, "whole", rounding);
    return EBB_OK;
}

static ebb_status set_ddpm(scheduler_job *j)
{
    const char *variance;
    bool learned = j->d->recipe->net_variance[0] == 'l';
    EBB_TRY(text(j, "variance_type", &variance));
    EBB_TRY(set_spacing(j));
    if (strcmp(variance, "fixed_small") == 0 || strcmp(variance, "fixed_small_log") == 0)
        snprintf(j->sampler, sizeof j->sampler, "ddpm");
    else if (strcmp(variance, "fixed_large") == 0)
        snprintf(j->sampler, sizeof j->sampler, "ddpm-large:final_noise=1");
    else if (strcmp(variance, "learned_range") == 0 && learned)
        snprintf(j->sampler, sizeof j->sampler, "ddpm-learned:final_noise=1");
    else
        return refuse_key(j, "variance_type");
    bool ranged = strcmp(variance, "learned_range") == 0;
    return learned && !ranged ? refuse(j, "variance_type %s: the network gives variances, which it does not take", variance) : EBB_OK;
}

static ebb_status set_ddim(scheduler_job *j)
{
    EBB_TRY(set_spacing(j));
    snprintf(j->sampler, sizeof j->sampler, "ddim:keep_eps=1");
    if (strcmp(j->spacing, "leading") != 0)
        add(j->grid, "even_steps", 1);
    if (!is_set(j, "set_alpha_to_one"))
        add(j->grid, "alpha_to_first", 1);
    return EBB_OK;
}

static ebb_status set_pndm(scheduler_job *j)
{
    EBB_TRY(set_spacing(j));
    snprintf(j->sampler, sizeof j->sampler, "%s", is_set(j, "skip_prk_steps") ? "plms" : "pndm");
    if (!is_set(j, "set_alpha_to_one"))
        add(j->grid, "alpha_to_first", 1);
    if (strcmp(j->spacing, "leading") != 0)
        return refuse_key(j, "timestep_spacing");
    return says(j, "prediction_type", "epsilon") ? EBB_OK : refuse_key(j, "prediction_type");
}

/* The grid of both solvers in log(alpha/sigma): with levels of their own they begin from all timesteps. cut: of those. */
static ebb_status set_solver_grid(scheduler_job *j, int rounding)
{
    bool own = is_set(j, "use_karras_sigmas") || is_set(j, "use_exponential_sigmas");
    EBB_TRY(set_spacing(j));
    if (own)
        snprintf(j->grid, sizeof j->grid, "linspace");
    else if (strcmp(j->spacing, "trailing") != 0)
        add(j->grid, "drop", 1);
    EBB_TRY(set_spread(j, rounding));
    if (own && says(j, "final_sigmas_type", "sigma_min"))
        return refuse(j, "final_sigmas_type sigma_min, which would end %s", "where the last but one level is");
    return set_end(j);
}

static ebb_status set_dpm(scheduler_job *j)
{
    int64_t order;
    bool plus = says(j, "algorithm_type", "dpmsolver++"), sde = says(j, "algorithm_type", "sde-dpmsolver++");
    bool heun = says(j, "solver_type", "heun"), cosine = says(j, "beta_schedule", "squaredcos_cap_v2");
    EBB_TRY(whole(j, "solver_order", &order));
    EBB_TRY(set_solver_grid(j, is_set(j, "use_karras_sigmas") && !cosine ? 1 : 2));
    if (!plus && !sde && !says(j, "algorithm_type", "dpmsolver"))
        return refuse_key(j, "algorithm_type");
    if (order < 1 || order > 3 || (sde && order != 2))
        return refuse_key(j, "solver_order");
    if (!ebb_diffusers_null(j->c, "lambda_min_clipped") && json_real_value(json_object_get(j->c, "lambda_min_clipped")) > -1e9)
        return refuse_key(j, "lambda_min_clipped");
    if (!ebb_diffusers_null(j->c, "variance_type") && j->d->recipe->net_variance[0] != 'l')
        return refuse_key(j, "variance_type");
    if (sde) {
        snprintf(j->sampler, sizeof j->sampler, "dpmpp-2m-sde%s", heun ? "-heun" : "");
        return says(j, "final_sigmas_type", "zero") ? EBB_OK : refuse_key(j, "final_sigmas_type");
    }
    if (order == 1)
        snprintf(j->sampler, sizeof j->sampler, "%s", plus ? "ddim" : "dpm-solver-1");
    else
        snprintf(j->sampler, sizeof j->sampler, "%s-%dm", plus ? "dpmpp" : "dpm-solver", (int)order);
    if (order == 1)
        return EBB_OK;
    add(j->sampler, "lower_order_final", is_set(j, "lower_order_final") ? 2 : 0);
    if (is_set(j, "euler_at_final"))
        add(j->sampler, "euler_final", 1);
    if (heun)
        add(j->sampler, "heun", 1);
    return EBB_OK;
}

static ebb_status set_unipc(scheduler_job *j)
{
    int64_t order;
    EBB_TRY(whole(j, "solver_order", &order));
    EBB_TRY(set_solver_grid(j, is_set(j, "use_karras_sigmas") ? 1 : 2));
    if (order < 1 || order > 4)
        return refuse_key(j, "solver_order");
    if (json_array_size(json_object_get(j->c, "disable_corrector")) > 0)
        return refuse_key(j, "disable_corrector");
    if (!ebb_diffusers_null(j->c, "solver_p"))
        return refuse_key(j, "solver_p");
    snprintf(j->sampler, sizeof j->sampler, "unipc");
    add(j->sampler, "order", (double)order);
    add(j->sampler, "bh", says(j, "solver_type", "bh1") ? 1 : 2);
    add(j->sampler, "noise_form", is_set(j, "predict_x0") ? 0 : 1);
    add(j->sampler, "lower_order_final", is_set(j, "lower_order_final") ? 1 : 0);
    return EBB_OK;
}

static ebb_status set_euler(scheduler_job *j, bool heun)
{
    snprintf(j->sampler, sizeof j->sampler, "%s", heun ? "heun" : "euler");
    EBB_TRY(set_spacing(j));
    if (strcmp(j->spacing, "linspace") == 0)
        add(j->grid, "between", 1);
    if (strcmp(j->spacing, "leading") != 0)
        add(j->grid, "scaled", 1);
    EBB_TRY(set_spread(j, 0));
    if (!heun && !says(j, "interpolation_type", "linear"))
        return refuse_key(j, "interpolation_type");
    return heun ? EBB_OK : set_end(j);
}

static ebb_status set_sampler(scheduler_job *j)
{
    if (is_class(j, "DDPMScheduler"))
        return set_ddpm(j);
    if (is_class(j, "DDIMScheduler"))
        return set_ddim(j);
    if (is_class(j, "PNDMScheduler"))
        return set_pndm(j);
    if (is_class(j, "DPMSolverMultistepScheduler"))
        return set_dpm(j);
    if (is_class(j, "UniPCMultistepScheduler"))
        return set_unipc(j);
    return set_euler(j, is_class(j, "HeunDiscreteScheduler"));
}

static const char *const classes[] = {
#define UNET_KEY(name, initial)
#define SCHEDULER(class) class,
#define SCHEDULER_KEY(class, name, initial)
#include "model/diffusers.def"
#undef UNET_KEY
#undef SCHEDULER
#undef SCHEDULER_KEY
};
enum { CLASSES = sizeof classes / sizeof *classes };

/* Of the class ebb knows neither tables nor steps. */
static ebb_status check_class(const scheduler_job *j)
{
    char all[300] = "";
    for (int i = 0, n = 0; i < CLASSES; i++) {
        n += snprintf(all + n, sizeof all - (size_t)n, "%s%s", i > 0 ? ", " : "", classes[i]);
        if (is_class(j, classes[i]))
            return EBB_OK;
    }
    return unsupported(j, "_class_name", j->d->scheduler_class, all);
}

/* As many steps as the pipelines take: DDPM's walks through the whole chain. */
static ebb_status set_steps(const scheduler_job *j)
{
    int64_t usual = is_class(j, "DDPMScheduler") ? 1000 : 50, most = j->steps - (strstr(j->grid, "drop=1") != NULL);
    return ebb_diffusers_set(j->d, "sample.steps", "%lld", (long long)(usual < most ? usual : most));
}

ebb_status ebb_diffusers_scheduler(ebb_diffusers *d)
{
    scheduler_job j = {.d = d, .c = d->scheduler, .sampler = "ddim"};
    EBB_TRY(check_class(&j));
    EBB_TRY(set_process(&j));
    EBB_TRY(set_clip(&j));
    EBB_TRY(set_sampler(&j));
    EBB_TRY(ebb_diffusers_set(d, "sample.sampler", "%s", j.sampler[0] != 0 ? j.sampler : "ddim"));
    EBB_TRY(ebb_diffusers_set(d, "sample.grid", "%s", d->recipe->sample_refused[0] == 0 ? j.grid : ""));
    return set_steps(&j);
}
