/* weights.c: weightings at steps of a linear chain, Karras et al.'s scalings, g^2 of the variance preserving process.
 *
 * A column that is of what the network gives is the weight of the noise times eps_f^2, as a loss has it. The chain and the
 * process are not written beside the numbers: the directory's params.json has them.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "against/refs.h"

#define CLOSED 1e-10

typedef struct column { const char *key; ebb_weighting weighting; ebb_prediction of; } column;
static const column COLUMNS[] = {
    {"snr", EBB_WEIGHT_SNR, EBB_PREDICT_EPSILON},
    {"min_snr5_eps", EBB_WEIGHT_MIN_SNR, EBB_PREDICT_EPSILON},
    {"min_snr5_x0", EBB_WEIGHT_MIN_SNR, EBB_PREDICT_X0},
    {"min_snr5_v", EBB_WEIGHT_MIN_SNR, EBB_PREDICT_V},
    {"p2_k1_g1", EBB_WEIGHT_P2, EBB_PREDICT_EPSILON},
};

static json_t *parameters(refs *r)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/params.json", r->directory);
    json_t *root = json_load_file(path, 0, NULL);
    if (root == NULL)
        refs_fail(r, "no readable params.json beside it");
    return root;
}

static void check_columns(refs *r, const json_t *object, const ebb_process *chain)
{
    const json_t *steps = refs_get(r, object, "idx");
    for (size_t c = 0; c < sizeof COLUMNS / sizeof *COLUMNS; c++) {
        ebb_objective o = {.weighting = COLUMNS[c].weighting};
        ebb_network net = {.prediction = COLUMNS[c].of, .sigma_data = 0.5};
        const json_t *want = refs_get(r, object, COLUMNS[c].key);
        refs_entry(r, COLUMNS[c].key);
        for (size_t i = 0; i < json_array_size(steps); i++) {
            double t = refs_at(steps, i);
            ebb_level at = ebb_process_level(chain, t);
            double f = ebb_prediction_coefficients(net.prediction, at.alpha, at.sigma, 0.5).eps_f;
            refs_near(r, COLUMNS[c].key, (long)i, ebb_weight(&o, chain, &net, t) * f * f, refs_at(want, i), CLOSED, 0);
        }
    }
}

/* lambda = weight on the picture; with F = (D - c_skip x)/c_out it is 1 on F. */
static void check_karras(refs *r, const json_t *rows, double data)
{
    const json_t *row;
    size_t i;
    ebb_process edm;
    ebb_objective o = {.weighting = EBB_WEIGHT_EDM};
    ebb_network net = {.prediction = EBB_PREDICT_EDM, .sigma_data = data};
    if (ebb_process_create(r->ctx, &(ebb_process){.kind = EBB_PROCESS_EDM}, &edm) != EBB_OK)
        refs_fail(r, "%s", ebb_message(r->ctx));
    refs_entry(r, "edm_lambda");
    json_array_foreach(rows, i, row) {
        double s = refs_number(r, row, "sigma");
        ebb_coefficients c = ebb_prediction_coefficients(EBB_PREDICT_EDM, 1, s, data);
        double w = ebb_weight(&o, &edm, &net, s);
        refs_near(r, "w", (long)i, w / (s * s), refs_number(r, row, "w"), CLOSED, 0);
        refs_near(r, "w of F", (long)i, w * c.eps_f * c.eps_f, 1, CLOSED, 0);
        refs_near(r, "c_skip", (long)i, c.x0_x, refs_number(r, row, "c_skip"), CLOSED, 0);
        refs_near(r, "c_out", (long)i, c.x0_f, refs_number(r, row, "c_out"), CLOSED, 0);
        refs_near(r, "c_in", (long)i, c.in, refs_number(r, row, "c_in"), CLOSED, 0);
        refs_near(r, "c_noise", (long)i, -0.25 * ebb_process_lambda(&edm, s), refs_number(r, row, "c_noise"), CLOSED, CLOSED);
    }
    ebb_process_free(&edm);
}

/* Times as the set's maker has them. */
static void check_likelihood(refs *r, const json_t *want, const ebb_process *vp)
{
    static const double times[] = {1e-5, 0.1, 0.5, 1.0};
    ebb_objective o = {.weighting = EBB_WEIGHT_LIKELIHOOD};
    ebb_network net = {.prediction = EBB_PREDICT_EPSILON};
    refs_entry(r, "likelihood_weight_vp_g2");
    for (size_t i = 0; i < json_array_size(want) && i < 4; i++) {
        double s = ebb_process_level(vp, times[i]).sigma;
        refs_near(r, "g^2", (long)i, ebb_weight(&o, vp, &net, times[i]) * s * s, refs_at(want, i), CLOSED, 0);
    }
}

static void with_parameters(refs *r, const json_t *object, const json_t *set)
{
    const json_t *beta = refs_get(r, set, "beta"), *vp = refs_get(r, set, "vp");
    ebb_process chain = {.kind = EBB_PROCESS_DDPM}, process = {.kind = EBB_PROCESS_VP};
    process.beta_min = refs_at(vp, 0);
    process.beta_max = refs_at(vp, 1);
    if (ebb_schedule_create(r->ctx, EBB_SCHEDULE_LINEAR, refs_int(r, set, "T"), refs_at(beta, 0), refs_at(beta, 1),
                            &chain.chain) != EBB_OK ||
        ebb_process_create(r->ctx, &chain, &chain) != EBB_OK || ebb_process_create(r->ctx, &process, &process) != EBB_OK) {
        refs_fail(r, "%s", ebb_message(r->ctx));
        return;
    }
    check_columns(r, object, &chain);
    check_likelihood(r, refs_get(r, object, "likelihood_weight_vp_g2"), &process);
    ebb_process_free(&chain);
    ebb_process_free(&process);
}

void refs_loss_weights(refs *r, const json_t *object)
{
    const json_t *value;
    const char *key;
    json_t *set = parameters(r);
    if (set != NULL)
        with_parameters(r, object, set);
    json_decref(set);
    json_object_foreach((json_t *)object, key, value)
        if (strncmp(key, "edm_lambda_sigma_data_", 22) == 0) {
            double data = 0;
            int whole = 0, part = 0;
            if (sscanf(key + 22, "%dp%d", &whole, &part) == 2) {
                for (data = part; data >= 1; data /= 10)
                    ;
                data += whole;
            }
            check_karras(r, value, data);
        }
}
