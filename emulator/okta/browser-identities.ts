/** Who a browser, known by its cookies, signs in as without being asked. */
export interface BrowserIdentities {
  /** A login; undefined: the page asks. */
  signInAs(cookie: string | undefined): string | undefined
  /** `Set-Cookie` for a browser whose person has answered. */
  remember(login: string): string
}
