/* colour.h: grey apart from colour, by a rotation of the three channels.
 *
 * To colour a grey picture is to fill in what one channel does not tell; in the basis M the first number of a pixel is its
 * grey times sqrt(3), the other two are colour alone, and as M is orthogonal, independent noise stays independent (Song et
 * al. 2021, app. I.3).
 */
#ifndef EBB_COLOUR_H
#define EBB_COLOUR_H

#include <stdbool.h>
#include <stdint.h>

/* z_j = sum_i x_i M[i][j]. */
extern const double ebb_colour_basis[3][3];
/* pixels (pixels,3) in place: red, green, blue to grey and two of colour, or back. */
void ebb_colour_turn(int64_t pixels, double *x, bool back);

#endif
