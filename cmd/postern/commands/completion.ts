import type { Command } from 'commander'
import { bashCompletion } from '../completion/bash.ts'
import { fishCompletion } from '../completion/fish.ts'
import { placesOf } from '../completion/places.ts'
import { zshCompletion } from '../completion/zsh.ts'
import type { Io } from '../io.ts'

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }

export type Shell = keyof typeof SCRIPTS

export const SHELLS = Object.keys(SCRIPTS) as readonly Shell[]

/** Prints a script that completes commands, options and values in this shell. */
export function completionCommand(
  { shell, program }: { readonly shell: Shell; readonly program: Command },
  io: Io,
): number {
  io.out(SCRIPTS[shell](placesOf(program)).trimEnd())
  return 0
}
