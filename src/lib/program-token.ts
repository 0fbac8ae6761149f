/** Begins the token of a program that somebody signed in with `postern login`. Fixed, so that scanners find lost ones. */
export const PROGRAM_TOKEN_PREFIX = 'psl_'
