/* process.h: noising processes: how much of the picture and how much noise there is at time t.
 *
 * The one idea: every process is linear and Gaussian, x_t = alpha(t) x_0 + sigma(t) eps, eps standard normal, so that
 * two functions of t say all; as a stochastic differential equation dx = c(t) x dt + g(t) dw with
 *   c = d log(alpha)/dt,   g^2 = d sigma^2/dt - 2 c sigma^2.
 * Score, noise and clean picture are three forms of one thing: score = -eps/sigma, x_0 = (x - sigma eps)/alpha.
 * t runs from 0 (data) to `end` (noise). For the discrete chains ddpm and smld t counts steps, 0 .. steps-1, and what
 * lies between two of them is interpolated in log(alpha) and log(sigma).
 *
 * lambda = log(alpha/sigma) is half the log signal-to-noise ratio; "k-sigma" = sigma/alpha is the sigma of Karras et al.
 */
#ifndef EBB_PROCESS_H
#define EBB_PROCESS_H

#include "graph/graph.h"

/* ---- discrete chains (schedule.c, schedules.def) --------------------------------------------------------- */
typedef enum ebb_schedule_kind {
#define SCHEDULE(id, name, help) EBB_SCHEDULE_##id,
#include "diffusion/schedules.def"
#undef SCHEDULE
    EBB_SCHEDULE_COUNT
} ebb_schedule_kind;
const char *ebb_schedule_name(ebb_schedule_kind kind);
const char *ebb_schedule_help(ebb_schedule_kind kind);
/* EBB_SCHEDULE_COUNT when there is none of that name. */
ebb_schedule_kind ebb_schedule_find(const char *name);

typedef struct ebb_schedule {
    int steps;                   /* T */
    double *beta, *alpha_bar;    /* (T), double; alpha_bar[t] = prod_{s<=t} (1-beta[s]) */
} ebb_schedule;
typedef struct ebb_schedule_options {
    ebb_schedule_kind kind;
    int steps;
    double beta_start, beta_end; /* linear, scaled-linear */
    double cosine_s;             /* cosine: offset of u */
    double sigmoid_start, sigmoid_end, sigmoid_tau;
    double clip;                 /* cosine, sigmoid: beta at most */
    bool zero_snr;               /* ebb_schedule_zero_snr afterwards */
    double last_alpha_bar;       /* zero_snr: of the last timestep, in place of 0 */
    bool single;                 /* beta and alpha_bar are kept in float, as libraries of networks do */
} ebb_schedule_options;
/* The papers' values: linear 1e-4..0.02, scaled-linear 0.00085..0.012, s 0.008, sigmoid -3..3 with tau 1, clip 0.999. */
ebb_schedule_options ebb_schedule_usual(ebb_schedule_kind kind, int steps);
ebb_status ebb_schedule_make(ebb_context *ctx, const ebb_schedule_options *options, ebb_schedule *out);
/* The usual, with these ends (cosine, sigmoid: unused). */
ebb_status ebb_schedule_create(ebb_context *ctx, ebb_schedule_kind kind, int steps, double beta_start,
                               double beta_end, ebb_schedule *out);
/* Lin et al. 2023: the last timestep becomes pure noise, alpha_bar exactly 0; the first stays as it is. */
ebb_status ebb_schedule_zero_snr(ebb_context *ctx, ebb_schedule *s);
/* The chain of the timesteps use[0] < use[1] < ... of s alone: same alpha_bar, betas that lead from one to the next. */
ebb_status ebb_schedule_respace(ebb_context *ctx, const ebb_schedule *s, const int *use, int count, ebb_schedule *out);
void ebb_schedule_free(ebb_schedule *s);

/* ---- processes (process.c, processes.def) ------------------------------------------------------------------ */
typedef enum ebb_process_kind {
#define PROCESS(id, name, help) EBB_PROCESS_##id,
#include "diffusion/processes.def"
#undef PROCESS
    EBB_PROCESS_COUNT
} ebb_process_kind;
const char *ebb_process_name(ebb_process_kind kind);
const char *ebb_process_help(ebb_process_kind kind);
/* EBB_PROCESS_COUNT when there is none of that name. */
ebb_process_kind ebb_process_find(const char *name);

typedef struct ebb_process {
    ebb_process_kind kind;
    double beta_min, beta_max;   /* vp, sub-vp: beta(t) = beta_min + t (beta_max - beta_min) */
    double sigma_min, sigma_max; /* ve, smld, edm */
    double end;                  /* t of pure noise: 1; ou: what was asked for; edm: sigma_max; chains: steps - 1 */
    double least;                /* smallest t that training and likelihood see: 1e-5; edm: sigma_min; chains: 0; a recipe's own */
    double least_sample;         /* where sampling in continuous time ends: 1e-3; ve, ou: 1e-5; edm: sigma_min; chains: 0 */
    ebb_schedule chain;          /* ddpm: owned by the process; else empty */
    int steps;                   /* ddpm, smld: of the chain; else 0 */
    bool log_clock;              /* networks are told where log(alpha/sigma) stands instead of t; edm: always */
} ebb_process;

/* A point on the way. t is NaN where a level was given by alpha and sigma alone. */
typedef struct ebb_level { double t, alpha, sigma; } ebb_level;

/* From the members kind, beta_*, sigma_*, end (0: the usual), steps (smld) and, for ddpm, a chain that the process takes
 * over (also on failure: then it is freed). Checks them and fills in the rest. Zero members get the usual values: beta
 * 0.1..20, ve sigma 0.01..50, smld the same with 1000 steps, edm 0.002..80, ou end 5. */
ebb_status ebb_process_create(ebb_context *ctx, const ebb_process *wanted, ebb_process *out);
void ebb_process_free(ebb_process *p);
/* Whether both have the same levels at all t: what one network says of them can be held against another's. */
bool ebb_process_same(const ebb_process *a, const ebb_process *b);

ebb_level ebb_process_level(const ebb_process *p, double t);
/* c(t) of the drift f(x,t) = c(t) x, and g(t)^2. */
double ebb_process_drift(const ebb_process *p, double t);
double ebb_process_diffusion2(const ebb_process *p, double t);
/* log(alpha/sigma), and the t at which it has that value (clamped to [0, end]). */
double ebb_process_lambda(const ebb_process *p, double t);
double ebb_process_time(const ebb_process *p, double lambda);
/* The level of that k-sigma = sigma/alpha, exact also where it lies beyond the end (then t is the end's). */
ebb_level ebb_process_level_sigma(const ebb_process *p, double sigma);
/* Standard deviation of the law that sampling starts from: 1; ve, edm: sigma_max. */
double ebb_process_prior_std(const ebb_process *p);
/* What a network that embeds positions as DDPM's does is told of t: t of a chain, else 999 t/end, or with log_clock 0..999
 * evenly in log(alpha/sigma) from `least` to the end. */
double ebb_process_position(const ebb_process *p, double t);

#endif
