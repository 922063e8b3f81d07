/* font.c: the letters of pictures, 5 x 7 pixels each.
 */
#include "format/canvas.h"

/* Glyphs from ' ' to '~'; each digit (base 32: 0-9, A-V) is a row from the top, its high bit at the left. */
static const char font[][8] = {
    "0000000", "4444404", "AA00000", "AAVAVAA", "4FKE5U4", "OP248J3", "CIK8LID", "4400000",   /*  !"#$%&' */
    "2488842", "8422248", "04LEL40", "044V440", "0000C48", "000V000", "00000CC", "01248G0",   /* ()*+,-./ */
    "EHJLPHE", "4C4444E", "EH1248V", "U11E11U", "26AIV22", "VGU11HE", "EGGUHHE", "V124488",   /* 01234567 */
    "EHHEHHE", "EHHF11E",   /* 89 */
    "0CC0CC0", "0CC0C48", "248G842", "00V0V00", "8421248", "EH12404", "EH1DLLE",   /* :;<=>?@ */
    "4AHHVHH", "UHHUHHU", "EHGGGHE", "UHHHHHU", "VGGUGGV", "VGGUGGG", "EHGNHHE", "HHHVHHH",   /* ABCDEFGH */
    "E44444E", "72222IC", "HIKOKIH", "GGGGGGV", "HRLLHHH",   /* IJKLM */
    "HPPLJJH", "EHHHHHE", "UHHUGGG", "EHHHLID", "UHHUKIH", "FGGE11U", "V444444", "HHHHHHE",   /* NOPQRSTU */
    "HHHHAA4", "HHHLLRH", "HHA4AHH", "HHA4444", "V1248GV",   /* VWXYZ */
    "E88888E", "0G84210", "E22222E", "4AH0000", "000000V", "8400000",   /* [\]^_` */
    "00E1FHF", "GGMPHHU", "00EGGHE", "11DJHHF", "00EHVGE", "698S888", "00FHF1E", "GGMPHHH",   /* abcdefgh */
    "40C444E", "20622IC", "GGIKOKI", "C44444E", "00QLLLL",   /* ijklm */
    "00MPHHH", "00EHHHE", "00UHUGG", "00DJF11", "00MPGGG", "00FGE1U", "88S8896", "00HHHJD",   /* nopqrstu */
    "00HHHA4", "00HHLLA", "00HA4AH", "00HHF1E", "00V248V",   /* vwxyz */
    "2448442", "4444444", "8442448", "008L200",   /* {|}~ */
};

static unsigned row_bits(char digit)
{
    return (unsigned)(digit <= '9' ? digit - '0' : digit - 'A' + 10);
}

unsigned ebb_glyph_row(unsigned char letter, int row)
{
    /* What the font lacks is a box. */
    const char *glyph = letter >= ' ' && letter <= '~' ? font[letter - ' '] : "VHHHHHV";
    return row_bits(glyph[row]);
}
