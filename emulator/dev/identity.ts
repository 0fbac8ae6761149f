const COOKIE = 'postern-dev-person'

/** Who a browser has chosen to be: a login, '' for nobody (the sign-in page asks), or undefined: it has not chosen. */
export function chosenBy(cookie = ''): string | undefined {
  const found = new RegExp(`(?:^|; )${COOKIE}=([^;]*)`).exec(cookie)?.[1]
  try {
    return found === undefined ? undefined : decodeURIComponent(found)
  } catch {
    return undefined
  }
}

/** Until the browser is closed. No script reads it. */
export function choose(login: string): string {
  return `${COOKIE}=${encodeURIComponent(login)}; Path=/; HttpOnly; SameSite=Lax`
}
