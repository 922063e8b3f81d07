/* gmm_values.c: a mixture's density, score and its other forms at levels of several processes; guidance; score matching.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "against/refs.h"
#include "diffusion/guidance.h"
#include "diffusion/linear_score.h"

/* Entries that are differences of larger numbers (guided scores, classifier's gradients) are held to the size of those. */
#define RTOL 1e-10

enum { MAX = EBB_TARGET_DIM_MAX };

typedef struct point {
    ebb_target all, one;
    ebb_process process;
    ebb_level at;
    size_t i;                    /* of the points */
    double score[MAX], of_class[MAX], scale;
} point;

static void vector(refs *r, const point *p, const json_t *row, const char *key, const double *got, double atol)
{
    const json_t *want = json_array_get(refs_get(r, row, key), p->i);
    refs_near_all(r, key, got, (size_t)p->all.dim, want, RTOL, atol);
}

/* "guided_score_seed000_gamma_m05" -> w: the number behind gamma_ in the convention that the set's note explains. */
static bool strength(refs *r, const char *key, double *w)
{
    static const struct { const char *prefix; ebb_guidance kind; } conventions[] = {
        {"guided_score_seed000_gamma_", EBB_GUIDANCE_W}, {"guided_score_seed003_gamma_", EBB_GUIDANCE_SCALE}};
    for (int c = 0; c < 2; c++) {
        size_t length = strlen(conventions[c].prefix);
        if (strncmp(key, conventions[c].prefix, length) != 0)
            continue;
        const char *digits = key + length;
        double sign = *digits == 'm' ? -1 : 1, value = 0, unit = 1;
        digits += *digits == 'm';
        /* m05 is -0.5: a leading 0 without a point. */
        if (digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9') {
            unit = 0.1;
            digits++;
        }
        for (; *digits != 0; digits++) {
            if (*digits == 'p')
                unit = 0.1;
            else if (unit == 1)
                value = 10 * value + (*digits - '0');
            else {
                value += unit * (*digits - '0');
                unit /= 10;
            }
        }
        *w = ebb_guidance_w(conventions[c].kind, sign * value);
        return true;
    }
    refs_fail(r, "guided by an unknown convention: %s", key);
    return false;
}

static void check_guided(refs *r, const point *p, const json_t *row)
{
    const char *key;
    json_t *value;
    double guided[MAX], by_field[MAX], w;
    json_object_foreach ((json_t *)row, key, value) {
        if (strncmp(key, "guided_score_", 13) != 0 || !strength(r, key, &w))
            continue;
        ebb_guidance_mix(p->all.dim, p->of_class, p->score, w, guided);
        vector(r, p, row, key, guided, RTOL * p->scale);
        ebb_target_field self = {.all = &p->all, .one = &p->one, .w = w, .n = 1};
        ebb_field f = ebb_field_of_target(&self);
        double x[MAX];
        for (int d = 0; d < p->all.dim; d++)
            x[d] = refs_at(json_array_get(json_object_get(r->root, "x"), p->i), (size_t)d);
        f.score(f.self, x, &p->at, by_field);
        vector(r, p, row, key, by_field, RTOL * p->scale);
    }
}

static void check_point(refs *r, point *p, const double *x, const json_t *row)
{
    int dim = p->all.dim;
    double logp, jacobian[MAX * MAX], posterior[256], eps[MAX], x0[MAX], other[MAX], div;
    ebb_target_field self = {.all = &p->all, .n = 1};
    ebb_field f = ebb_field_of_target(&self);
    ebb_target_at(&p->all, x, p->at.alpha, p->at.sigma, &logp, p->score, jacobian, posterior);
    ebb_target_at(&p->one, x, p->at.alpha, p->at.sigma, NULL, p->of_class, NULL, NULL);
    p->scale = 0;
    for (int d = 0; d < dim; d++)
        p->scale = fmax(p->scale, fmax(fabs(p->score[d]), fabs(p->of_class[d])));
    refs_near(r, "logp", (long)p->i, logp, refs_at(refs_get(r, row, "logp"), p->i), RTOL, 0);
    vector(r, p, row, "score", p->score, RTOL * p->scale);
    vector(r, p, row, "cond_score", p->of_class, RTOL * p->scale);
    for (int d = 0; d < dim; d++)
        other[d] = p->of_class[d] - p->score[d];
    vector(r, p, row, "classifier_grad", other, RTOL * p->scale);
    refs_near_all(r, "score_jacobian", jacobian, (size_t)(dim * dim),
                  json_array_get(refs_get(r, row, "score_jacobian"), p->i), RTOL, RTOL * p->scale * p->scale);
    for (size_t c = 0; c < (size_t)p->all.classes; c++)
        refs_near(r, "class_posterior", (long)c, posterior[c],
                  refs_at(json_array_get(refs_get(r, row, "class_posterior"), p->i), c), RTOL, 1e-14);
    f.predict(f.self, x, &p->at, eps, x0);
    vector(r, p, row, "eps", eps, RTOL);
    vector(r, p, row, "x0hat", x0, RTOL);
    for (int d = 0; d < dim; d++)
        other[d] = p->at.alpha * eps[d] - p->at.sigma * x0[d];
    vector(r, p, row, "v", other, RTOL);
    f.divergence(f.self, x, &p->at, eps, &div);
    refs_near(r, "score_divergence", (long)p->i, -div / p->at.sigma, refs_at(refs_get(r, row, "score_divergence"), p->i),
              RTOL, RTOL * p->scale * p->scale);
    check_guided(r, p, row);
}

static void check_row(refs *r, point *p, const json_t *row)
{
    double t = refs_number(r, row, "t"), ou_end = 2 * fmax(t, 1);
    size_t count;
    double *x = refs_numbers(r, json_object_get(r->root, "x"), &count);
    if (!refs_process(r, refs_get(r, row, "sde"), ou_end, &p->process)) {
        ebb_free(x);
        return;
    }
    p->at = ebb_process_level(&p->process, t);
    refs_near(r, "alpha", 0, p->at.alpha, refs_number(r, row, "alpha"), RTOL, 0);
    refs_near(r, "sigma", 0, p->at.sigma, refs_number(r, row, "sigma"), RTOL, 0);
    if (ebb_target_class(r->ctx, &p->all, refs_int(r, row, "cls"), &p->one) == EBB_OK) {
        for (p->i = 0; p->i * (size_t)p->all.dim < count; p->i++)
            check_point(r, p, x + p->i * (size_t)p->all.dim, row);
        ebb_target_free(&p->one);
    } else {
        refs_fail(r, "%s", ebb_message(r->ctx));
    }
    ebb_process_free(&p->process);
    ebb_free(x);
}

static double matched(refs *r, const ebb_linear_score *s, const ebb_target *law, ebb_matching kind, double sigma)
{
    double value = NAN;
    if (ebb_linear_score_match(r->ctx, s, law, kind, sigma, &value, NULL) != EBB_OK)
        refs_fail(r, "%s", ebb_message(r->ctx));
    return value;
}

static void check_matching(refs *r)
{
    const json_t *want = refs_claim(r, "ism_linear_on_gaussian");
    size_t dim, square;
    double *mean = refs_numbers(r, refs_get(r, want, "m"), &dim), *cov = refs_numbers(r, refs_get(r, want, "C"), &square);
    double *a = refs_numbers(r, refs_get(r, want, "A"), &square), *b = refs_numbers(r, refs_get(r, want, "b"), &dim);
    double sigma = refs_number(r, want, "sigma"), one = 1;
    ebb_linear_score s = {(int)dim, a, b};
    ebb_target law;
    if (square == dim * dim && ebb_target_create(r->ctx, 1, (int)dim, &one, mean, cov, NULL, &law) == EBB_OK) {
        double implicit = matched(r, &s, &law, EBB_MATCH_IMPLICIT, 0);
        const struct { const char *key; double got; } all[] = {
            {"ISM_seed000_E_s2_plus_2div", implicit}, {"ISM_seed001_half", implicit / 2},
            {"ESM_J", matched(r, &s, &law, EBB_MATCH_EXPLICIT, 0)},
            {"J_minus_K_equals_E_score2", ebb_normal_information(&law, 0)},
            {"ESM_sigma", matched(r, &s, &law, EBB_MATCH_EXPLICIT, sigma)},
            {"ISM_sigma", matched(r, &s, &law, EBB_MATCH_IMPLICIT, sigma)},
        };
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            refs_near(r, all[i].key, 0, all[i].got, refs_number(r, want, all[i].key), RTOL, RTOL);
        const char *key;
        json_t *value;
        json_object_foreach ((json_t *)want, key, value)
            if (strncmp(key, "DSM_at_sigma_", 13) == 0)
                refs_near(r, key, 0, matched(r, &s, &law, EBB_MATCH_DENOISING, sigma), refs_value(value), RTOL, RTOL);
        ebb_target_free(&law);
    } else {
        refs_fail(r, "its normal law cannot be read: %s", ebb_message(r->ctx));
    }
    ebb_free(mean);
    ebb_free(cov);
    ebb_free(a);
    ebb_free(b);
}

void refs_gmm_values(refs *r)
{
    point p;
    size_t i;
    json_t *row;
    char name[64];
    double mean[MAX], cov[MAX * MAX];
    if (!refs_target(r, refs_claim(r, "gmm"), &p.all))
        return;
    refs_claim_note(r, "x");
    ebb_target_moments(&p.all, mean, cov);
    refs_near_all(r, "mean", mean, (size_t)p.all.dim, refs_claim(r, "mean"), RTOL, RTOL);
    refs_near_all(r, "cov", cov, (size_t)(p.all.dim * p.all.dim), refs_claim(r, "cov"), RTOL, RTOL);
    json_array_foreach (refs_claim(r, "values"), i, row) {
        snprintf(name, sizeof name, "values, row %zu", i);
        refs_entry(r, name);
        check_row(r, &p, row);
    }
    ebb_target_free(&p.all);
    check_matching(r);
}
