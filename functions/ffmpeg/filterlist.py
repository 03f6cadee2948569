"""The filters that a command may use.

None of them can open a file, a device or a socket, or load code. Those with some option that does so are held to the
options named here; a test asks both binaries for the options of all others.
"""

LONGEST_SIDE = 8192  # pixels, a little over what is called 8K
FASTEST = 240  # frames per second


def names(text: str) -> frozenset[str]:
    """Take the names that stand in a text."""
    return frozenset(text.split())


SIZED = names(
    """
    scale zscale crop pad zoompan tile showwaves showwavespic showspectrum showspectrumpic showfreqs showvolume showcqt
    ahistogram avectorscope xstack color nullsrc
    """
)
_COUNTED = names("split asplit concat amix amerge join hstack vstack")
_OF_PICTURES = names(
    """
    alphaextract alphamerge atadenoise avgblur bbox bilateral blackdetect blackframe blend boxblur bwdif cas chromahold
    chromakey chromanr chromashift colorbalance colorchannelmixer colorcontrast colorcorrect colorhold colorize colorkey
    colorlevels colormatrix colorspace colortemperature convolution copy cropdetect deband deblock decimate dedot
    deflate deflicker dejudder delogo despill detelecine dilation doubleweave drawbox drawgrid edgedetect eq erosion
    estdif exposure extractplanes fade fftdnoiz field fieldmatch fieldorder fillborders format fps framerate framestep
    freezedetect gblur geq gradfun grayworld hflip histeq histogram hqdn3d hqx hsvhold hsvkey hue huesaturation
    hysteresis idet il inflate interlace kerndeint lagfun lenscorrection limiter loop lumakey lut lutrgb lutyuv
    maskedmerge median mergeplanes minterpolate mix monochrome mpdecimate negate nlmeans noformat noise normalize null
    nullsink overlay palettegen perspective phase photosensitivity pixelize premultiply prewitt pseudocolor pullup
    random removegrain reverse rgbashift roberts rotate sab scdet scroll select separatefields setdar setfield setparams
    setpts setrange setsar settb shear showinfo shuffleframes shuffleplanes signalstats smartblur sobel spp stereo3d
    swaprect swapuv tblend telecine thumbnail tinterlace tmix tonemap tpad transpose trim unpremultiply unsharp v360
    vaguedenoiser vectorscope vflip vibrance vignette w3fdif waveform weave xbr xfade yadif
    """
)
_OF_SOUND = names(
    """
    acompressor acontrast acopy acrossfade acrossover acrusher adeclick adeclip adelay aderivative adynamicsmooth aecho
    aemphasis aexciter afade afftdn afftfilt aformat afreqshift agate aintegral alimiter allpass aloop anequalizer
    anlmdn anull anullsink anullsrc apad aphaser aphaseshift apulsator aresample areverse aselect asetnsamples asetpts
    asetrate asettb ashowinfo asoftclip asplit astats asubboost asupercut asuperpass asuperstop atempo atrim bandpass
    bandreject bass biquad channelmap channelsplit chorus compand compensationdelay crossfeed crystalizer dcshift
    deesser dynaudnorm earwax equalizer extrastereo flanger haas headphone highpass highshelf lowpass lowshelf mcompand
    pan rubberband sidechaincompress sidechaingate silencedetect silenceremove sine speechnorm stereotools stereowiden
    superequalizer surround tiltshelf treble tremolo vibrato virtualbass volume volumedetect
    """
)
WITH_FILES = {
    "drawtext": names(
        """
        alpha bordercolor borderw box boxborderw boxcolor expansion fix_bounds font fontcolor fontsize line_spacing r
        rate shadowcolor shadowx shadowy tabsize tc24hmax text text_align timecode timecode_rate x y y_align
        """
    ),
    "curves": names("all b blue g green interp m master preset r red"),
    "loudnorm": names(
        """
        I LRA TP dual_mono i linear lra measured_I measured_LRA measured_TP measured_i measured_lra measured_thresh
        measured_tp offset print_format tp
        """
    ),
    "paletteuse": names("alpha_threshold bayer_scale diff_mode dither new"),
    "deshake": names("blocksize contrast edge h rx ry search w x y"),
    "selectivecolor": names("blacks blues correction_method cyans greens magentas neutrals reds whites yellows"),
    "firequalizer": names("accuracy delay fft2 fixed gain gain_entry min_phase multi scale wfunc zero_phase"),
    "showcqt": names(
        """
        attack axis bar_g bar_h bar_t bar_v basefreq axis_h coeffclamp count cscheme csp endfreq fcount fps fullhd gamma
        gamma2 r rate s size sono_g sono_h sono_v tc text timeclamp tlength volume volume2
        """
    ),
    "ebur128": names("dualmono framelog panlaw peak target"),
}
"""Filters of which some option names a file: those of their options that do not, and only by name."""

FIRST = {"color": "color", "curves": "preset", "loudnorm": "I", "paletteuse": "dither"}
"""What the first option is, where it comes without its name and a name is needed to check it."""

ENDLESS = {
    "color": (names("d duration"), 3),
    "nullsrc": (names("d duration"), 2),
    "anullsrc": (names("d duration"), 3),
    "sine": (names("d duration"), 3),
    "apad": (names("pad_len whole_len pad_dur whole_dur"), 1),
    "tpad": (names("stop"), 1),
}
"""Filters that give frames for ever: the options that end them, and which of those without a name does, from 0.

tpad is the other way round: it goes on when its option is below zero.
"""

ENDING = {
    ("shortest", "1"), ("shortest", "true"), ("duration", "first"), ("duration", "shortest"), (None, "first"),
    (None, "shortest"), ("eof_action", "endall"),
}  # fmt: skip
"""Options by which a filter of several inputs ends with one of them."""

LARGEST = {
    **dict.fromkeys((*_OF_PICTURES, *_OF_SOUND, *WITH_FILES), 1_000_000),
    **dict.fromkeys(SIZED, LONGEST_SIDE),
    **dict.fromkeys(_COUNTED, 100),
}
"""Each filter that a command may use, and the largest number in its options."""

ANY_OPTION = frozenset(LARGEST) - frozenset(WITH_FILES)
"""Filters that may be given any option they have."""
