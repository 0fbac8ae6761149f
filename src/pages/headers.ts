/** Features no page of ours uses. */
const NO_FEATURES = ['camera', 'geolocation', 'microphone', 'payment', 'usb'].map((name) => `${name}=()`).join(', ')

export interface PageHeaderOptions {
  /**
   * Given when a form on the page posts: the origins that its answer may redirect to. Chromium applies
   * `form-action` to the whole chain, so a sign-out needs the origin of the identity provider here.
   */
  readonly formActionOrigins?: readonly string[]
  /** Addresses of pictures that the page shows, of other origins. */
  readonly imageOrigins?: readonly string[]
}

/**
 * Security headers of our own pages, without `content-type`; never added to what an application answers.
 * No script at all, one stylesheet, nothing may frame us, nothing is stored.
 *
 * Callback pages have codes in their address, so no page says where it came from. A page with a form says its
 * origin and no more: under `no-referrer` a browser would post with `Origin: null`.
 */
export function pageHeaders({
  formActionOrigins,
  imageOrigins = [],
}: PageHeaderOptions = {}): readonly (readonly [string, string])[] {
  const formTargets = ["'self'", ...originsOf(formActionOrigins ?? [])]
  const pictures = ["'self'", 'data:', ...originsOf(imageOrigins)]
  return [
    [
      'content-security-policy',
      [
        "default-src 'none'",
        "style-src 'self'",
        `img-src ${pictures.join(' ')}`,
        `form-action ${formTargets.join(' ')}`,
        "frame-ancestors 'none'",
        "base-uri 'none'",
      ].join('; '),
    ],
    ['cache-control', 'no-store'],
    ['referrer-policy', formActionOrigins ? 'strict-origin' : 'no-referrer'],
    ['x-content-type-options', 'nosniff'],
    ['cross-origin-opener-policy', 'same-origin'],
    ['permissions-policy', NO_FEATURES],
  ]
}

function originsOf(urls: readonly string[]): ReadonlySet<string> {
  return new Set(urls.map((url) => new URL(url).origin))
}

/**
 * Of a page that goes on by itself: its one script, known by hash, and nothing else. The page is on its way to another,
 * which may have been opened by an application's own: it does not cut that tie (no `cross-origin-opener-policy`).
 */
export function onwardHeaders(scriptHash: string): readonly (readonly [string, string])[] {
  const policy = ["default-src 'none'", `script-src ${scriptHash}`, "form-action 'none'", "frame-ancestors 'none'"]
  return [
    ['content-security-policy', [...policy, "base-uri 'none'"].join('; ')],
    ['cache-control', 'no-store'],
    ['referrer-policy', 'no-referrer'],
    ['x-content-type-options', 'nosniff'],
  ]
}
