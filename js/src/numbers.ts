// Numbers as texts, for the module: JavaScript's own ways take less than the C library's.

/** %g with so many digits. */
export function numberText(v: number, digits: number): string {
  if (!isFinite(v)) return v !== v ? "nan" : v < 0 ? "-inf" : "inf";
  const [fraction, exponent] = v.toExponential(digits - 1).split("e");
  const e = Number(exponent);
  const short = (text: string) => (text.includes(".") ? text.replace(/[.]?0+$/, "") : text);
  return e < -4 || e >= digits
    ? `${short(fraction)}e${e < 0 ? "-" : "+"}${String(Math.abs(e)).padStart(2, "0")}`
    : (Object.is(v, -0) ? "-" : "") + short(v.toFixed(Math.max(0, digits - 1 - e)));
}

/** NaN of what is no number. */
export function numberOf(text: string): number {
  const s = text.trim();
  return s === "" ? NaN : Number(s.replace(/^([+-]?)inf$/, "$1Infinity"));
}
