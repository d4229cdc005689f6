def fits_section(e): return ""
def scoring_section(e): return ""
def circumstances(e): return ""
