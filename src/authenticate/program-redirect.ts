/**
 * Where the browser may take a program's one-time code: a loopback address at any port (RFC 8252 §7.3), or a host that the
 * operator lists (`programmatic_redirect_domain_whitelist`), by https. undefined: nowhere. By WHATWG rules, as the browser
 * reads it (GHSA-35vc-w93w-75c2: a token went to any address that somebody wrote into a link).
 */
export function programRedirect(text: string, listed: readonly string[]): URL | undefined {
  // What parsers have read in more than one way has no place in the address of a program.
  if (!/^https?:\/\/[\w[][\w.:~%!$&'()*+,;=?/[\]-]+$/.test(text) || !URL.canParse(text)) return undefined
  const url = new URL(text)
  if (url.username !== '' || url.password !== '' || url.hash !== '') return undefined
  if (url.hostname === '127.0.0.1' || url.hostname === '[::1]') return url
  if (url.hostname === 'localhost') return listed.includes('localhost') ? url : undefined
  return url.protocol === 'https:' && listed.includes(url.host) ? url : undefined
}
