import type { AuthProvider } from '@refinedev/core'

interface User {
  readonly sub: string
  readonly email?: string
  readonly name?: string
  readonly groups: readonly { readonly id: string; readonly name: string }[] | null
  readonly sign_out_url: string
  readonly csrf_token: string
}

/** undefined: nobody is signed in. */
async function user(): Promise<User | undefined> {
  const response = await fetch('/.postern/user')
  if (response.status === 401) return undefined
  if (!response.ok) throw new Error(`who is signed in cannot be known: ${response.status}`)
  return (await response.json()) as User
}

/** Through the sign-in and back to this address, with what stands behind `#`. */
function signIn(): void {
  const { pathname, search, hash } = window.location
  window.location.assign(`/.postern/sign_in?return_to=${encodeURIComponent(pathname + search + hash)}`)
}

export const authProvider: AuthProvider = {
  async login() {
    signIn()
    return { success: true }
  },
  async logout() {
    const me = await user()
    if (!me) return { success: true, redirectTo: '/' }
    const answer = await fetch(me.sign_out_url, { method: 'POST', headers: { 'X-Postern-Csrf': me.csrf_token } })
    // Ends the session at the identity provider, too.
    window.location.assign(((await answer.json()) as { readonly redirect_to: string }).redirect_to)
    // The page goes away; a check meanwhile would sign in again.
    return new Promise(() => {})
  },
  async check() {
    if (await user()) return { authenticated: true }
    signIn()
    return { authenticated: false }
  },
  async onError(error: { readonly statusCode?: number }) {
    // The application may say 401 of its own: to whoever is signed in, a sign-in would only bring it once more.
    if (error.statusCode === 401 && !(await user())) signIn()
    return {}
  },
  async getIdentity() {
    const me = await user()
    return me && { id: me.sub, name: me.name ?? me.email ?? me.sub, email: me.email }
  },
  /** Names of groups; null while they are not known, which is not "none". */
  async getPermissions() {
    return (await user())?.groups?.map(({ name }) => name) ?? null
  },
}
