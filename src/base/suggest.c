/* suggest.c: "did you mean": the known name with the least edit distance (Levenshtein 1966).
 *
 * A bare name ("lr") is compared with what follows the dot of the known ones ("optim.lr") as well.
 */
#include <stdio.h>
#include <string.h>

#include "base/base.h"

#define WORD_MAX 64

static int minimum(int a, int b)
{
    return a < b ? a : b;
}

static int distance(const char *a, const char *b)
{
    int row[WORD_MAX + 1];
    int na = (int)strlen(a), nb = (int)strlen(b);
    if (na > WORD_MAX || nb > WORD_MAX)
        return WORD_MAX;
    for (int j = 0; j <= nb; j++)
        row[j] = j;
    for (int i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= nb; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = minimum(change, minimum(row[j], row[j - 1]) + 1);
        }
    }
    return row[nb];
}

const char *ebb_suggest(const char *word, const char *const *names, int count, char *out, size_t size)
{
    const char *best = NULL;
    int nearest = minimum(1 + (int)strlen(word) / 3, 4) + 1;
    for (int i = 0; i < count; i++) {
        const char *dot = strchr(names[i], '.');
        int d = distance(word, names[i]);
        if (dot != NULL)
            d = minimum(d, distance(word, dot + 1));
        if (d < nearest) {
            nearest = d;
            best = names[i];
        }
    }
    if (best != NULL)
        snprintf(out, size, "; did you mean '%s'?", best);
    else
        *out = 0;
    return out;
}
