/* bench_gnuplot.c: plots.gp: the plots of a benchmark as a script of gnuplot with the numbers in it, for papers: vectors, intervals, and
 * every label and range can be changed. `gnuplot plots.gp` draws nfe.svg and seconds.svg (bench.h).
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "eval/plot.h"
#include "study/bench.h"

static ebb_status put(ebb_writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static ebb_status put(ebb_writer *w, const char *format, ...)
{
    char line[1200];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    return ebb_writer_write(w, line, n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

/* A text between single quotes, where gnuplot knows no escapes but the quote twice. Names of files may hold line breaks: they would
 * end the text, and what follows would be a command. */
static const char *quoted(const char *text, char out[500])
{
    size_t n = 0;
    out[n++] = '\'';
    for (; *text != 0 && n < 496; text++) {
        out[n++] = (unsigned char)*text < 32 ? ' ' : *text;
        if (*text == '\'')
            out[n++] = '\'';
    }
    out[n++] = '\'';
    out[n] = 0;
    return out;
}

/* The points of one curve, by the name $COST_NUMBER. An interval that reaches 0 goes down to the frame. */
static ebb_status put_points(ebb_writer *w, const char *cost, size_t number, const ebb_bench_curve *c)
{
    EBB_TRY(put(w, "$%s_%zu << end\n", cost, number));
    for (int k = 0; k < c->n; k++) {
        double low = isfinite(c->low[k]) ? fmin(fmax(c->low[k], 1e-3 * c->y[k]), c->y[k]) : c->y[k];
        double high = isfinite(c->high[k]) ? fmax(c->high[k], c->y[k]) : c->y[k];
        EBB_TRY(put(w, "%.9g %.9g %.9g %.9g\n", c->x[k], c->y[k], low, high));
    }
    return put(w, "end\n");
}

static ebb_status put_curve(ebb_writer *w, const char *cost, size_t number, const ebb_bench_curve *c, int *colour)
{
    char name[2 * EBB_BENCH_NAME + 60], text[500];
    if (!c->front)
        return put(w, ", \\\n    $%s_%zu using 1:2 with linespoints linecolor rgb '#b0b0b0' pointtype 7 pointsize 0.3 notitle", cost, number);
    snprintf(name, sizeof name, "%s, %s", ebb_bench_text(c->of, "sampler"), ebb_bench_text(c->of, "grid"));
    if (ebb_bench_number(c->of, "guidance") != 0)
        snprintf(name + strlen(name), 40, ", guidance %g", ebb_bench_number(c->of, "guidance"));
    return put(w, ", \\\n    $%s_%zu using 1:2:3:4 with yerrorlines linewidth 2 linecolor rgb '#%06x' pointtype 7 pointsize 0.5 title %s",
               cost, number, (unsigned)ebb_plot_colour((*colour)++), quoted(name, text));
}

/* Ticks at the budgets of evaluations, where there are any; seconds have none. */
static ebb_status put_ticks(ebb_writer *w, const json_t *results, const char *cost)
{
    size_t i;
    json_t *budget;
    if (strcmp(cost, "nfe") != 0 || json_array_size(json_object_get(results, "budgets")) == 0)
        return put(w, "set xtics autofreq\n");
    EBB_TRY(put(w, "set xtics ("));
    json_array_foreach (json_object_get(results, "budgets"), i, budget)
        EBB_TRY(put(w, "%s%d", i > 0 ? ", " : "", (int)ebb_bench_number(budget, "nfe")));
    return put(w, ")\n");
}

/* First the numbers, then the one command that draws them all; what is not on the front lies below. */
static ebb_status put_figure(ebb_writer *w, const json_t *results, const char *cost, const char *label)
{
    ebb_bench_curve c;
    ebb_bench_range r;
    int colour = 0;
    size_t n = json_array_size(json_object_get(results, "cells"));
    double floor = ebb_bench_floor(results), reference = ebb_bench_reference(results);
    if (!ebb_bench_range_of(results, cost, &r))
        return EBB_OK;
    for (size_t i = 0; i < n; i++) {
        ebb_bench_curve_from(results, cost, i, &c);
        if (c.n > 0)
            EBB_TRY(put_points(w, cost, i, &c));
    }
    EBB_TRY(put(w, "set output '%s.svg'\nset xlabel '%s'\nset xrange [%.9g:%.9g]\nset yrange [%.9g:%.9g]\n", cost, label, r.lo[0], r.hi[0],
                r.lo[1], r.hi[1]));
    EBB_TRY(put_ticks(w, results, cost));
    EBB_TRY(put(w, "plot %.9g with lines dashtype 2 linecolor rgb '#c8421c' %s", floor > 0 ? floor : NAN,
                floor > 0 ? "title 'as many real samples'" : "notitle"));
    if (reference > 0)
        EBB_TRY(put(w, ", \\\n    %.9g with lines dashtype 2 linecolor rgb '#202020' title 'reference'", reference));
    for (int front = 0; front < 2; front++)
        for (size_t i = 0; i < n; i++) {
            ebb_bench_curve_from(results, cost, i, &c);
            if (c.n > 0 && c.front == (front == 1))
                EBB_TRY(put_curve(w, cost, i, &c, &colour));
        }
    return put(w, "\n\n");
}

ebb_status ebb_bench_put_gnuplot(ebb_writer *w, const json_t *results)
{
    char what[500], metric[500];
    EBB_TRY(put(w, "# gnuplot plots.gp: draws nfe.svg and seconds.svg. In the numbers: cost, value and its interval.\n"
                   "set terminal svg size 1000,560 background 'white'\nset logscale xy\nset format '%%g'\nset grid\n"
                   "set key outside right top noenhanced\n"));
    EBB_TRY(put(w, "set title %s noenhanced\nset ylabel %s noenhanced\n\n", quoted(ebb_bench_text(results, "what"), what),
                quoted(ebb_bench_text(results, "metric"), metric)));
    EBB_TRY(put_figure(w, results, "nfe", "evaluations of the network"));
    return put_figure(w, results, "seconds", "seconds a sample");
}
