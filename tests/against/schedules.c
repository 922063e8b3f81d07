/* schedules.c: tables of the discrete chains, levels of the grids.
 */
#include "against/refs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RTOL 1e-10

/* ---- tables of variances ------------------------------------------------------------------------------------ */

static double pick(const double *table, const json_t *idx, size_t i)
{
    return table[(size_t)refs_at(idx, i)];
}

static void check_sums(refs *r, const json_t *want, const ebb_schedule *s)
{
    double sum = 0, logs = 0;
    for (int t = 0; t < s->steps; t++) {
        sum += s->beta[t];
        logs += log(s->alpha_bar[t]);
    }
    refs_near(r, "sum_beta", 0, sum, refs_number(r, want, "sum_beta"), RTOL, 0);
    refs_near(r, "sum_log_alphabar", 0, logs, refs_number(r, want, "sum_log_alphabar"), RTOL, 0);
    refs_near_all(r, "full_beta", s->beta, (size_t)s->steps, refs_get(r, want, "full_beta"), RTOL, 0);
}

static void check_table(refs *r, const json_t *want, const ebb_schedule *s)
{
    const json_t *idx = refs_get(r, want, "idx"), *snr = json_object_get(want, "half_logsnr");
    for (size_t i = 0; i < json_array_size(idx); i++) {
        double abar = pick(s->alpha_bar, idx, i);
        refs_near(r, "beta", (long)i, pick(s->beta, idx, i), refs_at(refs_get(r, want, "beta"), i), RTOL, 0);
        refs_near(r, "alphabar", (long)i, abar, refs_at(refs_get(r, want, "alphabar"), i), RTOL, 0);
        if (snr != NULL)
            refs_near(r, "half_logsnr", (long)i, 0.5 * (log(abar) - log1p(-abar)), refs_at(snr, i), RTOL, 0);
    }
}

/* The ends of linear are parameters of the set; its table tells them. */
static ebb_schedule_options options_of(refs *r, ebb_schedule_kind kind, const json_t *want)
{
    const json_t *full = refs_get(r, want, "full_beta");
    ebb_schedule_options o = ebb_schedule_usual(kind, refs_int(r, want, "T"));
    if (kind == EBB_SCHEDULE_LINEAR) {
        o.beta_start = refs_at(full, 0);
        o.beta_end = refs_at(full, json_array_size(full) - 1);
    }
    return o;
}

static bool make(refs *r, const ebb_schedule_options *o, ebb_schedule *s)
{
    if (ebb_schedule_make(r->ctx, o, s) == EBB_OK)
        return true;
    refs_fail(r, "%s", ebb_message(r->ctx));
    return false;
}

static void check_schedule(refs *r, ebb_schedule_kind kind, const char *name)
{
    char key[64];
    ebb_schedule s;
    const json_t *want = refs_claim(r, name);
    ebb_schedule_options o = options_of(r, kind, want);
    if (!make(r, &o, &s))
        return;
    check_table(r, want, &s);
    check_sums(r, want, &s);
    ebb_schedule_free(&s);
    snprintf(key, sizeof key, "%s_zero_terminal_snr", name);
    want = refs_claim(r, key);
    o.zero_snr = true;
    if (!make(r, &o, &s))
        return;
    check_table(r, want, &s);
    refs_near(r, "alphabar_last_exact", 0, s.alpha_bar[s.steps - 1], refs_number(r, want, "alphabar_last_exact"), 0, 0);
    ebb_schedule_free(&s);
}

/* ---- grids ------------------------------------------------------------------------------------------------------ */

static bool make_grid(refs *r, const ebb_process *p, const char *name, const ebb_grid_options *o, ebb_grid *g)
{
    if (ebb_grid_create(r->ctx, p, name, o, g) == EBB_OK)
        return true;
    refs_fail(r, "%s", ebb_message(r->ctx));
    return false;
}

/* sigma/alpha of all levels. */
static void check_sigmas(refs *r, const ebb_process *p, const char *name, const ebb_grid_options *o, const json_t *want)
{
    ebb_grid g;
    if (!make_grid(r, p, name, o, &g))
        return;
    refs_near(r, "levels", 0, g.steps + 1, (double)json_array_size(want), 0, 0);
    for (int k = 0; k <= g.steps && k < (int)json_array_size(want); k++)
        refs_near(r, name, k, g.level[k].sigma / g.level[k].alpha, refs_at(want, (size_t)k), RTOL, 0);
    ebb_grid_free(&g);
}

static bool make_process(refs *r, const ebb_process *wanted, ebb_process *p)
{
    if (ebb_process_create(r->ctx, wanted, p) == EBB_OK)
        return true;
    refs_fail(r, "%s", ebb_message(r->ctx));
    return false;
}

static void check_ve_chain(refs *r)
{
    const json_t *want = refs_claim(r, "ve_discrete"), *sigmas = refs_get(r, want, "sigmas_ascending");
    ebb_process p, wanted = {.kind = EBB_PROCESS_SMLD, .sigma_min = refs_number(r, want, "sigma_min"),
                             .sigma_max = refs_number(r, want, "sigma_max"), .steps = refs_int(r, want, "N")};
    if (!make_process(r, &wanted, &p))
        return;
    for (int i = 0; i < p.steps; i++)
        refs_near(r, "sigmas_ascending", i, ebb_process_level(&p, i).sigma, refs_at(sigmas, (size_t)i), RTOL, 0);
}

/* The chain of score_sde's VP at N = 1000; the entry holds five of its places. */
static void check_vp_chain(refs *r)
{
    static const int at[] = {0, 1, 500, 998, 999};
    const json_t *want = refs_claim(r, "vp_discrete");
    int n = refs_int(r, want, "N");
    ebb_schedule s;
    ebb_schedule_options o = ebb_schedule_usual(EBB_SCHEDULE_LINEAR, n);
    o.beta_start = refs_number(r, want, "beta_min") / n;
    o.beta_end = refs_number(r, want, "beta_max") / n;
    if (!make(r, &o, &s))
        return;
    for (size_t i = 0; i < 5 && at[i] < n; i++) {
        refs_near(r, "beta", at[i], s.beta[at[i]], refs_at(refs_get(r, want, "beta"), i), RTOL, 0);
        refs_near(r, "alphabar", at[i], s.alpha_bar[at[i]], refs_at(refs_get(r, want, "alphabar"), i), RTOL, 0);
    }
    ebb_schedule_free(&s);
}

static void check_sigma_grids(refs *r)
{
    static const char *const names[] = {"karras", "exponential", "edm_disc_ve"};
    for (int i = 0; i < 3; i++) {
        const json_t *want = refs_claim(r, names[i]);
        ebb_process p, wanted = {.kind = EBB_PROCESS_EDM, .sigma_max = 1e6};
        ebb_grid_options o = {.steps = refs_int(r, want, "n"), .rho = json_number_value(json_object_get(want, "rho")),
                              .sigma_min = json_number_value(json_object_get(want, "sigma_min")),
                              .sigma_max = json_number_value(json_object_get(want, "sigma_max"))};
        if (make_process(r, &wanted, &p))
            check_sigmas(r, &p, i == 2 ? "edm-ve" : names[i], &o, refs_get(r, want, "sigmas"));
    }
}

/* On the process whose betas they are, as levels of it; eps is where its time ends. */
static void check_edm_vp(refs *r)
{
    const json_t *want = refs_claim(r, "edm_disc_vp");
    double low = refs_number(r, want, "beta_min"), d = refs_number(r, want, "beta_d");
    ebb_process p, wanted = {.kind = EBB_PROCESS_VP, .beta_min = low, .beta_max = low + d};
    ebb_grid_options o = {.steps = refs_int(r, want, "n")}, times = {.steps = o.steps, .clean = true};
    times.t_end = refs_number(r, want, "eps");
    if (!make_process(r, &wanted, &p))
        return;
    if (times.t_end == 1e-3)     /* the grid's own end */
        check_sigmas(r, &p, "edm-vp", &o, refs_get(r, want, "sigmas"));
    check_sigmas(r, &p, "uniform", &times, refs_get(r, want, "sigmas"));
}

static void check_edm_iddpm(refs *r)
{
    const json_t *want = refs_claim(r, "edm_disc_iddpm"), *first = refs_get(r, want, "u_first"), *last = refs_get(r, want, "u_last");
    ebb_process p, wanted = {.kind = EBB_PROCESS_EDM, .sigma_max = 1e6, .sigma_min = 1e-6};
    ebb_grid_options o = {.steps = refs_int(r, want, "n"), .m = refs_int(r, want, "M"), .c1 = refs_number(r, want, "C1"),
                          .c2 = refs_number(r, want, "C2")};
    double *u;
    if (!make_process(r, &wanted, &p))
        return;
    check_sigmas(r, &p, "edm-iddpm", &o, refs_get(r, want, "sigmas"));
    if (ebb_alloc(r->ctx, (void **)&u, (size_t)o.m + 1, sizeof *u, "levels of iDDPM") != EBB_OK)
        return;
    ebb_grid_iddpm_levels(o.m, o.c1, o.c2, u);
    refs_near_all(r, "u_first", u, json_array_size(first), first, RTOL, 0);
    refs_near_all(r, "u_last", u + o.m + 1 - (int)json_array_size(last), json_array_size(last), last, RTOL, 0);
    ebb_free(u);
}

/* gamma_k as the lengths of the literal grid's steps k = 1..N; gamma_0 leads nowhere: it is gamma_max. */
static void check_gamma(refs *r)
{
    const json_t *want = refs_claim(r, "debortoli_gamma_linear_seed001"), *gamma = refs_get(r, want, "gamma_k");
    ebb_process p, wanted = {.kind = EBB_PROCESS_OU, .end = 1e6};
    ebb_grid_options o = {.steps = refs_int(r, want, "N"), .gamma_min = refs_number(r, want, "gamma_min"),
                          .gamma_max = refs_number(r, want, "gamma_max")};
    ebb_grid g;
    refs_near(r, "gamma_k", 0, o.gamma_max, refs_at(gamma, 0), RTOL, 0);
    if (!make_process(r, &wanted, &p) || !make_grid(r, &p, "gamma-literal", &o, &g))
        return;
    for (int k = 1; k <= g.steps; k++)
        refs_near(r, "gamma_k", k, g.dt[g.steps - k], refs_at(gamma, (size_t)k), RTOL, 0);
    ebb_grid_free(&g);
    if (!make_grid(r, &p, "gamma", &o, &g))
        return;
    for (int k = 0; k < g.steps; k++)     /* the rising one is the same list the other way round */
        refs_near(r, "gamma_k, rising", g.steps - k, g.dt[g.steps - (g.steps - k)], refs_at(gamma, (size_t)k), RTOL, 0);
    ebb_grid_free(&g);
}

/* ---- timesteps ---------------------------------------------------------------------------------------------------- */

static bool chain_of(refs *r, int steps, ebb_process *p)
{
    ebb_process wanted = {.kind = EBB_PROCESS_DDPM};
    ebb_schedule_options o = ebb_schedule_usual(EBB_SCHEDULE_COSINE, steps);
    return make(r, &o, &wanted.chain) && make_process(r, &wanted, p);
}

static void check_timesteps(refs *r, int chain, const char *name, const ebb_grid_options *o, const json_t *want, bool rising)
{
    ebb_process p;
    ebb_grid g;
    int n = (int)json_array_size(want);
    /* Where T/(T/n) rounds to above n, numpy's arange gives trailing one number more, near 0: timestep -1, which is none. */
    if (n == o->steps + 1 && refs_at(want, (size_t)n - 1) == -1)
        n--;
    if (!chain_of(r, chain, &p))
        return;
    if (make_grid(r, &p, name, o, &g)) {
        refs_near(r, name, -1, g.steps, n, 0, 0);
        for (int k = 0; k < n && k < g.steps; k++)
            refs_near(r, name, k, g.level[k].t, refs_at(want, (size_t)(rising ? n - 1 - k : k)), 0, 0);
        ebb_grid_free(&g);
    }
    ebb_process_free(&p);
}

static void check_spacings(refs *r)
{
    const char *key, *mode;
    json_t *entry, *want;
    json_object_foreach (refs_claim(r, "timestep_spacing"), key, entry) {
        int chain, n;
        refs_entry(r, key);
        if (sscanf(key, "T%d_n%d", &chain, &n) != 2)
            refs_fail(r, "a name of the form T1000_n10 is needed");
        else
            json_object_foreach (entry, mode, want)
                check_timesteps(r, chain, mode, &(ebb_grid_options){.steps = n}, want, false);
    }
}

/* The names are lists, as "[10, 5, 5]". */
static void check_sections(refs *r, int chain)
{
    const char *key;
    json_t *want;
    json_object_foreach (refs_claim(r, "space_timesteps_guided_diffusion"), key, want) {
        ebb_grid_options o = {0};
        refs_entry(r, key);
        for (const char *at = key; *at != 0 && o.section_count < EBB_GRID_SECTIONS; at++)
            if (*at >= '0' && *at <= '9' && (at == key || at[-1] < '0' || at[-1] > '9')) {
                o.sections[o.section_count] = atoi(at);
                o.steps += o.sections[o.section_count++];
            }
        check_timesteps(r, chain, "sections", &o, want, true);
    }
}

/* Where no stride gives that many the reference is null, and the grid must refuse. */
static void check_strides(refs *r, int chain)
{
    const char *key;
    json_t *want;
    json_object_foreach (refs_claim(r, "space_timesteps_ddimN"), key, want) {
        ebb_process p;
        ebb_grid g;
        ebb_grid_options o = {.steps = atoi(key)};
        refs_entry(r, key);
        if (!json_is_null(want)) {
            check_timesteps(r, chain, "stride", &o, want, true);
        } else if (chain_of(r, chain, &p)) {
            if (ebb_grid_create(r->ctx, &p, "stride", &o, &g) == EBB_OK) {
                refs_fail(r, "stride: there should be none");
                ebb_grid_free(&g);
            }
            ebb_process_free(&p);
        }
    }
}

void refs_schedules(refs *r)
{
    refs_claim_note(r, "note");
    int chain = refs_int(r, json_object_get(r->root, "linear"), "T");
    check_schedule(r, EBB_SCHEDULE_LINEAR, "linear");
    check_schedule(r, EBB_SCHEDULE_SCALED_LINEAR, "scaled_linear");
    check_schedule(r, EBB_SCHEDULE_COSINE, "cosine");
    check_schedule(r, EBB_SCHEDULE_SIGMOID, "sigmoid");
    check_ve_chain(r);
    check_vp_chain(r);
    check_sigma_grids(r);
    check_edm_vp(r);
    check_edm_iddpm(r);
    check_gamma(r);
    check_spacings(r);
    check_sections(r, chain);
    check_strides(r, chain);
}
