"""Makes MeterledgerSans.ttf: Latin of Open Sans, Han of Droid Sans Fallback (GB2312 levels 1 and 2), both Apache-2.0.

apt-get download fonts-open-sans fonts-droid-fallback; dpkg-deb -x each; pip install fonttools; then:
python3 make.py OpenSans-Regular.ttf DroidSansFallbackFull.ttf MeterledgerSans.ttf
"""

import sys
import tempfile

from fontTools import merge, subset
from fontTools.ttLib import TTFont
from fontTools.ttLib.scaleUpem import scale_upem

UNITS = 512


def gb2312():
    """GB2312: symbols, full-width forms and both levels of Han."""
    for high in range(0xA1, 0xF8):
        for low in range(0xA1, 0xFF):
            try:
                yield ord(bytes([high, low]).decode("gb2312"))
            except UnicodeDecodeError:
                continue


LATIN = [*range(0x20, 0x7F), *range(0xA0, 0x180), 0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2026, 0x20AC, 0x2212]


def part(source, points, keep):
    font = TTFont(source)
    options = subset.Options(hinting=False, layout_features=[], name_IDs=[], notdef_outline=True, glyph_names=False)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[point for point in points if keep(point)])
    subsetter.subset(font)
    for table in ("GSUB", "GPOS", "GDEF", "kern", "vhea", "vmtx", "VORG", "DSIG", "gasp", "hdmx", "VDMX", "LTSH"):
        if table in font:
            del font[table]
    scale_upem(font, UNITS)
    path = tempfile.mktemp(suffix=".ttf")
    font.save(path)
    return path


def main(latin, han, target):
    latin_points = set(LATIN)
    first = part(latin, LATIN, lambda point: True)
    second = part(han, gb2312(), lambda point: point not in latin_points)
    font = merge.Merger().merge([first, second])
    family = "Meterledger Sans"
    for record_id, text in ((1, family), (2, "Regular"), (4, family), (6, "MeterledgerSans-Regular"), (13, "Apache-2.0")):
        font["name"].setName(text, record_id, 3, 1, 0x409)
    font.save(target)


main(*sys.argv[1:])
