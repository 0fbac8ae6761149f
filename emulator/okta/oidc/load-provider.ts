import type * as OidcProvider from 'oidc-provider'

let loading: Promise<typeof OidcProvider> | undefined

/**
 * oidc-provider on every Node this repository supports. 9.13 asks for Node 22: on Node 20 it prints a warning at
 * import, and before 20.20 it lacks `URL.parse` (WHATWG URL §6.1). Nothing else that it uses is missing there.
 */
export function loadProvider(): Promise<typeof OidcProvider> {
  return (loading ??= load())
}

async function load(): Promise<typeof OidcProvider> {
  if (typeof (URL as Partial<typeof URL>).parse !== 'function') {
    Object.defineProperty(URL, 'parse', {
      configurable: true,
      writable: true,
      value: (url: string, base?: string): URL | null => (URL.canParse(url, base) ? new URL(url, base) : null),
    })
  }
  // The warning reads `process.release.lts` once; there is no other switch.
  const lts = Object.getOwnPropertyDescriptor(process.release, 'lts')
  Object.defineProperty(process.release, 'lts', { configurable: true, enumerable: true, value: 'Jod' })
  try {
    return await import('oidc-provider')
  } finally {
    if (lts) Object.defineProperty(process.release, 'lts', lts)
    else Reflect.deleteProperty(process.release, 'lts')
  }
}
