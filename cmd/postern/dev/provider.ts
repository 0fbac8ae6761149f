/** The identity provider of `postern dev`: the Okta emulator, in a bundle of its own that the image does not have. */
export interface DevProvider {
  /** Where Postern reaches it: an origin on loopback, which no browser uses. */
  readonly origin: string
  readonly clientId: string
  readonly clientSecret: string
  readonly apiToken: string
  close(): Promise<void>
}

export interface DevProviderOptions {
  /** Origins as browsers know them, all of one Postern. */
  readonly origins: {
    readonly app: string
    readonly authenticate: string
    /** Of the provider itself, and of the page where one becomes somebody else. */
    readonly people: string
  }
  /** Who a browser is that has chosen nobody. */
  readonly as: DevPerson
}

export interface DevPerson {
  /** An e-mail address. */
  readonly login: string
  readonly groups: readonly string[]
}

export type StartDevProvider = (options: DevProviderOptions) => Promise<DevProvider>
