/* deis.c: tAB-DEIS: the noise of the last levels, continued by a polynomial in t (Zhang & Chen 2022, eq. 14).
 *
 * x' = alpha'/alpha x + alpha' sum_j W_j eps_j,  W_j = integral of L_j(t) dk from k to k',
 * where L_j is Lagrange's polynomial of the nodes in t and k = sigma/alpha = exp(-lambda). The linear part is solved
 * exactly; the integrals are taken in lambda, where k is smooth, by Gauss' rule of eight points on each of PANELS parts.
 */
#include "diffusion/adams.h"

#include <math.h>

enum { POINTS = 4, PANELS = 4 };

/* Of Gauss' rule on [-1,1]: the positive half of eight points. */
static const double point[POINTS] = {0.18343464249564980494, 0.52553240991632898582, 0.79666647741362673959,
                                     0.96028985649753623168};
static const double share[POINTS] = {0.36268378337836198297, 0.31370664587788728734, 0.22238103445337447054,
                                     0.10122853629037625915};

static double lagrange(const ebb_level *level, int order, int j, double t)
{
    double product = 1;
    for (int l = 0; l < order; l++)
        if (l != j)
            product *= (t - level[-l].t) / (level[-j].t - level[-l].t);
    return product;
}

static void add_point(const ebb_walk *w, const ebb_level *level, int order, double lambda, double dlambda, double *weight)
{
    double t = ebb_process_time(w->process, lambda), dk = -exp(-lambda) * dlambda;
    for (int j = 0; j < order; j++)
        weight[j] += dk * lagrange(level, order, j, t);
}

static void deis_weights(const ebb_walk *w, const ebb_level *level, int order, double *weight)
{
    double from = ebb_level_lambda(level[0]), half = 0.5 * (ebb_level_lambda(level[1]) - from) / PANELS;
    for (int j = 0; j < order; j++)
        weight[j] = 0;
    for (int panel = 0; panel < PANELS; panel++)
        for (int i = 0; i < POINTS; i++) {
            double middle = from + (2 * panel + 1) * half;
            add_point(w, level, order, middle - half * point[i], half * share[i], weight);
            add_point(w, level, order, middle + half * point[i], half * share[i], weight);
        }
}

int ebb_sample_deis(ebb_walk *w)
{
    return ebb_adams_run(w, w->set.order > 0 ? (int)w->set.order : 3, true, deis_weights);
}
