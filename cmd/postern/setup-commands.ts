import { Argument, type Command } from 'commander'
import { completionCommand, type Shell, SHELLS } from './commands/completion.ts'
import type { Io } from './io.ts'
import { manual } from './manual.ts'

/** The commands that come before and beside a running Postern. */
export function addSetupCommands(program: Command, io: Io, set: (exitCode: number) => void): void {
  program
    .command('completion')
    .description('print a script that completes commands and options in your shell')
    .addArgument(new Argument('<shell>', 'which one').choices(SHELLS))
    .action((shell: Shell) => set(completionCommand({ shell, program }, io)))

  program
    .command('man')
    .description('print the manual page, for man(1)')
    .action(() => io.out(manual(program).trimEnd()))
}
