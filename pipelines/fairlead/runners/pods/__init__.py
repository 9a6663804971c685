"""Run a flow as pods, on a cluster without Kubeflow Pipelines.

``submit``       on the caller's machine: store the project, compile, create a Job, follow its log, fetch the pages
``orchestrate``  in the Job (image ``tools``): KFP's own local orchestrator runs the compiled graph, each task as a pod
``task``         in a task's pod (image ``pipeline``): fetch inputs, run the command KFP compiled, keep outputs
``compiled``     what the compiled YAML says of a task, and what of it cannot be obeyed here
``manifests``    the Job and the task's pod
``reasons``      why a pod failed, from its status
``artifacts``    content-named files and folders in the store, and records of finished tasks
``cluster``      the few calls of the Kubernetes API that all of this makes

The caller may go away: the Job goes on, and can be followed again. It may be killed: a task that has finished is not run again.

Does not belong here: what a stage does.
"""
