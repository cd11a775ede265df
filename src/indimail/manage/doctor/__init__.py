"""What is wrong with an instance, and what of it can be mended without losing anything.

    patient = Patient(site, accounts, SystemDisk(), now)
    examination = examine(patient)      -> Examination(findings=(Finding(...), ...), checked=(...))

A check is a function from the patient to its findings, in the module of its subject; `examine` runs
all.  Nothing is changed by looking.  What mends a finding is a list of writes (`manage.writes`), or
a change of owner, which root alone can make (`owners`).

Not here: mistakes in the configuration (`app.configuration` finds them), text for a terminal
(`cli.doctor`).
"""
